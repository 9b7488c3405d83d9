import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { toHex } from "@consilium/base/bytes"
import { fromUtf8 } from "@consilium/base/platform"
import { participantId } from "@consilium/federation/roster"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ended, FACILITIES, layOutStudy, logOf, WITHOUT_ONE } from "../failures/held-study.js"
import { bundle } from "../security/bundle.js"
import { GO_ON, WANTS_KILL } from "../security/hostile-script.js"
import type { HostileReport } from "../security/hostile-study.js"
import {
  answered,
  dropped,
  type Expected,
  expectedSecurity,
  namesOf,
  recorded,
  refused,
  satOut,
  securityLogged,
  tableOf,
  triedIn,
} from "../security/hostile-table.js"
import { buildProgram, StudyRun, temporaryFolder } from "../security/study-run.js"

// A leader process with a real kit, under `ckks`, against facilities that are the program as it is. It has no fog between:
// each ciphertext comes to it by itself. With n = 5 and c = 1 a certificate needs 4 signatures, 4 facilities open a sum,
// and k = 3 are the fewest whose sum is opened.

const EXPECTED: readonly Expected[] = [
  refused("S4", "a list of two keys to be challenged", "cohort/too-small"),
  refused("S9", "a second challenge for one key", "cohort/second-list"),
  refused("S23", "keys to be certified before they were tested", "cohort/uncertified"),
  refused("S4", "a test of two keys", "cohort/too-small"),
  refused("S22", "a test by fewer than open a sum", "cohort/wrong-member"),
  refused("S23", "a test by somebody who dealt no key", "cohort/wrong-member"),
  answered("S5", "the same test again", "same bytes"),
  refused("S5", "a second test, by others", "cohort/second-list"),
  refused("S5", "a second test, of other keys", "cohort/second-list"),
  refused("S23", "a key to be certified that was not tested", "cohort/uncertified"),
  satOut("S3", "a round under keys that nobody certified", "keys/left-out"),
  refused("S10", "a ceremony that names a model", "round/unexpected"),
  refused("S5", "a second specification of one ceremony", "round/equivocation"),
  refused("S4", "a list of two keys to be certified", "cohort/too-small"),
  refused("S5", "a second list of keys", "cohort/second-list"),
  refused("S3", "keys with too few signatures", "cohort/uncertified"),
  dropped("S5", "a polynomial used before: the same round announced again", "announce"),
  refused("S5", "the same round from another model", "round/equivocation"),
  refused("S5", "a list under another specification than was trained under", "round/equivocation"),
  dropped("S5", "a list under a specification that was not announced", "propose"),
  refused("S3", "a sum that nobody was asked to certify", "cohort/uncertified"),
  refused("S4", "a list of one: a facility's own update", "cohort/too-small"),
  refused("S4", "a list of two", "cohort/too-small"),
  refused("S5", "a second list in one attempt", "cohort/second-list"),
  refused("S3", "a sum with too few signatures", "cohort/uncertified"),
  refused("S3", "a sum with forged signatures", "cohort/uncertified"),
  refused("S3", "a facility's own update under signatures for all", "cohort/uncertified"),
  refused("S3", "all but one under signatures for all", "cohort/uncertified"),
  refused("S22", "nobody named to open", "cohort/wrong-member"),
  refused("S22", "fewer named than open a sum", "cohort/wrong-member"),
  refused("S22", "more named than open a sum", "cohort/wrong-member"),
  refused("S3", "one named to open who did not sign", "cohort/wrong-member"),
  answered("S2", "the answers for all, taken off the ciphertext of one", "nothing"),
  answered("S2", "the answers for all, taken off all ciphertexts but one", "nothing", "leader"),
  answered("S5", "the same certificate again", "same bytes", "four"),
  refused("S5", "other openers for a list that was answered", "cohort/second-list"),
  refused("S5", "another list after the opening", "cohort/second-list"),
  answered("S16", "the same certificate, to one that was killed since", "same bytes", "first"),
  refused("S16", "other openers, to one that was killed since", "cohort/second-list", "first"),
  dropped("S16", "the same round announced again, to one that was killed since", "announce", "first"),
  answered("S5", "the ciphertexts of a redone round", "other bytes"),
  refused("S6", "a redone round without the first facility", "cohort/differencing"),
  refused("S6", "a redone round without the last facility", "cohort/differencing"),
  answered(
    "S2",
    "the answers for one attempt, taken off the ciphertexts of another",
    "lattice/other-sum",
    "leader",
  ),
  refused("S24", "a round under the keys of an epoch that is over", "keys/other-epoch"),
  dropped("S24", "the certificate of a list under old keys again", "certificate"),
  dropped("S24", "a ceremony for an epoch that is over", "announce"),
  satOut("S24", "a round under the keys of an epoch to come", "keys/other-epoch"),
  refused("S5", "a valid certificate for the list that others signed", "cohort/second-list", "first"),
  refused("S3", "a certificate of signatures for two lists", "cohort/uncertified"),
  refused("S6", "one facility more than in a certified list", "cohort/differencing", "rest"),
  refused(
    "S6",
    "one facility fewer than in a list that was signed but never certified",
    "cohort/differencing",
    "first",
  ),
]

let run: StudyRun
let report: HostileReport
let folder = ""
let codes: Readonly<Record<string, number | null>> = {}
let seconds = 0

beforeAll(async () => {
  await buildProgram()
  const began = performance.now()
  folder = temporaryFolder()
  const hostile = await bundle("hostile-study", folder)
  run = await StudyRun.layOut({ facilities: 5, fogs: 0, rounds: 3, seed: null, protection: "ckks" })
  run.startAllBut(["leader"])
  run.start("leader", hostile)
  await run.said("leader", WANTS_KILL)
  const victim = new RegExp(`${WANTS_KILL} (\\S+)`).exec(run.output("leader", "log"))?.[1] as string
  run.kill(victim)
  await run.exit(victim)
  run.start(victim)
  writeFileSync(join(run.folder, "leader/data", GO_ON), "")
  codes = await run.complete()
  report = JSON.parse(run.output("leader", "out")) as HostileReport
  seconds = (performance.now() - began) / 1000
})

afterAll(async () => {
  if (report !== undefined) console.log(tableOf(report, EXPECTED, seconds))
  await run?.close()
  rmSync(folder, { recursive: true, force: true })
})

it("the script came to its end, and every process with it", () => {
  expect(report.stopped).toBeNull()
  expect(codes).toEqual(Object.fromEntries(run.layout.processes.map(({ name }) => [name, 0])))
})

it("everything that was tried is in the table of what is expected, in its order", () => {
  expect(report.tried.map(({ scenario }) => scenario)).toEqual(EXPECTED.map(({ scenario }) => scenario))
})

it.each(EXPECTED.map((row) => [row.promise, row.scenario, row.answer, row.to] as const))(
  "[%s] %s: %s",
  (_promise, scenario, answer, to) => {
    const tried = triedIn(report, scenario)
    expect(tried?.answers).toEqual(Object.fromEntries(namesOf(report, to).map((name) => [name, answer])))
  },
)

describe("on disk and in all", () => {
  const those = (name: string, wanted: (row: Expected) => boolean): readonly Expected[] =>
    EXPECTED.filter((row) => wanted(row) && namesOf(report, row.to).includes(name))

  it("each facility has logged each refusal as an event of security, in order, about the leader, with its evidence", () => {
    for (const name of report.names)
      expect([name, securityLogged(run, name, report)]).toEqual([
        name,
        expectedSecurity(report, EXPECTED, name),
      ])
  })

  it("each facility has logged each message that it dropped, and each round that it sat out", () => {
    for (const name of report.names) {
      const codes = those(name, ({ sitsOut }) => sitsOut === true).map(({ answer }) => answer)
      expect(
        recorded(run, name, "round-refused").map((detail) => `refused: ${detail.split(": ")[0]}`),
      ).toEqual(codes)
      const types = those(name, ({ dropped: type }) => type !== undefined).map(({ dropped: type }) => type)
      expect(recorded(run, name, "message-dropped").map((detail) => detail.split(":")[0])).toEqual(types)
    }
  })

  it("[S3][S5] partial openings came for certified lists only, from those who were named", () => {
    // of the first list four were asked twice, and one of them a third time
    expect(report.partials).toEqual({
      "round 1, attempt 2": 9,
      "round 1, attempt 3": 4,
      "round 2, attempt 2": 4,
    })
    for (const [i, given] of [1, 3, 3, 3, 2].entries())
      expect(recorded(run, report.names[i] as string, "partial-opening-given")).toHaveLength(given)
  })

  it("[S5] updates and tests of keys came for what was asked honestly, and for nothing else", () => {
    // four attempts at a round; three ceremonies, of which one was asked for its test again
    expect(report.came).toEqual({ updates: 20, keyTests: 20 })
  })

  it("[S6] the redone round opened the same sum, to the last digit", () => {
    const first = report.sums["round 1, attempt 2"] as string
    expect(first.split(",")).toHaveLength(15)
    expect(report.sums["round 1, attempt 3"]).toBe(first)
    expect(report.sums["round 2, attempt 2"]).not.toBe(first)
  })

  it("[S24] the keys of both epochs were destroyed: with the next ceremony, and at the end", () => {
    const detail = (epoch: number): string => `epoch ${epoch}: this facility's key and its 5 shares of keys`
    for (const name of report.names)
      expect([name, recorded(run, name, "keys-destroyed")]).toEqual([name, [detail(2), detail(3)]])
  })
})

describe("[S23] a facility deals one recipient a false share of its key, sealed and committed to as it should be", () => {
  const DEALER = "hospital-1"
  const VICTIM = "hospital-2"
  const program = fileURLToPath(new URL("../failures/false-dealer.mjs", import.meta.url))
  let study: StudyRun

  beforeAll(async () => {
    study = await layOutStudy({ protection: "ckks" })
    study.startAllBut([DEALER])
    study.start(DEALER, program, { VICTIM })
    await study.complete()
  })
  afterAll(() => study?.close())

  it("is left out by proof, which the victim and the leader have logged, and nobody else is accused", () => {
    const excluded = logOf(study, "leader").filter(({ header }) => header.type === "dealer-excluded")
    expect(excluded.map(({ header }) => toHex(header.actor))).toEqual([toHex(participantId(DEALER))])
    const [proof] = excluded.map(({ body }) => toHex(body))
    for (const name of FACILITIES) {
      const accused = logOf(study, name).filter(({ header }) => header.type.startsWith("security:"))
      expect([name, accused.map(({ header, body }) => [header.type, fromUtf8(body)])]).toEqual([
        name,
        name === VICTIM
          ? [["security:sharing/bad-share", expect.stringMatching(`${DEALER} .*\\(evidence ${proof}\\)$`)]]
          : [],
      ])
    }
  })

  it("encrypts nothing, and the study goes on with the others under the keys of the same ceremony", async () => {
    const { complete, rounds } = await ended(study)
    expect(complete).toBe(true)
    expect(rounds.map(({ participants }) => participants)).toEqual([WITHOUT_ONE, WITHOUT_ONE])
    expect(recorded(study, DEALER, "update-submitted")).toEqual([])
    for (const name of WITHOUT_ONE)
      expect([name, recorded(study, name, "epoch-begun")]).toEqual([
        name,
        ["epoch 1: 3 keys, of which this facility holds 3 shares"],
      ])
  })
})

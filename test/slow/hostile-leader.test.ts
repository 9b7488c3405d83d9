import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { callAdmin } from "@consilium/node/admin/client"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { bundle } from "../security/bundle.js"
import { GO_ON, WANTS_KILL, WANTS_ROSTER } from "../security/hostile-script.js"
import type { HostileReport } from "../security/hostile-study.js"
import {
  answered,
  dropped,
  type Expected,
  expectedSecurity,
  namesOf,
  recorded,
  refused,
  securityLogged,
  silent,
  tableOf,
  triedIn,
} from "../security/hostile-table.js"
import { buildProgram, StudyRun, temporaryFolder } from "../security/study-run.js"

// A leader process with a real kit follows a script of its own; facilities and fog are the program as it is. With
// n = 5 and c = 1 a certificate needs 4 signatures, and k = 3 facilities are the fewest whose sum is opened.

/** Asks to leave, so that there is a second roster that the leader can misuse. */
const LEAVES = "hospital-2"

const EXPECTED: readonly Expected[] = [
  silent("S10", "a list signed by a stranger", "identity/bad-signature"),
  answered("S10", "a list signed by a stranger, to everyone", "stopped", "fog"),
  answered("S10", "the end of an attempt, in an envelope of another study", "stopped", "fog"),
  refused("S10", "a round of another study", "round/unexpected"),
  refused("S10", "a model that is not the announced one", "round/wrong-model"),
  refused("S17", "a roster that the authority has not signed", "identity/bad-roster"),
  refused("S17", "a roster in the middle of a round", "round/unexpected"),
  refused("S17", "a round among another roster", "round/unexpected"),
  refused("S4", "a list of two to be challenged", "cohort/too-small"),
  refused("S9", "a second challenge for one dealing", "cohort/second-list"),
  answered("S9", "the same challenge again", "same bytes"),
  refused("S8", "a list proposed before its shares are checked", "cohort/uncertified"),
  refused("S9", "a second challenge after the check", "cohort/second-list"),
  refused("S4", "a list of two to be certified", "cohort/too-small"),
  refused("S5", "a second list in one attempt", "cohort/second-list"),
  refused("S7", "a log that is not the one seen before", "log/not-extending"),
  refused("S7", "a log with an event left out", "log/not-extending"),
  refused("S7", "a log that ends before what was seen", "log/not-extending"),
  refused("S3", "a certificate with too few signatures", "cohort/uncertified"),
  refused("S3", "a certificate filled up with forged signatures", "cohort/uncertified"),
  refused("S3", "a certificate with one signature under several names", "cohort/uncertified"),
  refused("S3", "a certificate for another list than was signed", "cohort/uncertified"),
  silent("S3", "a certificate with one signature twice", "encoding/malformed"),
  silent("S10", "a valid certificate signed by a stranger", "identity/bad-signature"),
  answered("S5", "the same certificate again", "same bytes"),
  refused("S5", "another list after the opening", "cohort/second-list"),
  refused("S5", "a certificate for another list after the opening", "cohort/uncertified"),
  answered("S16", "the same certificate, to one that was killed since", "same bytes", "first"),
  refused("S16", "another list, to one that was killed since", "cohort/second-list", "first"),
  refused("S16", "a second challenge, to one that was killed since", "cohort/second-list", "first"),
  dropped("S5", "a second model to be measured over one list", "candidate"),
  refused("S6", "a redone round without the first facility", "cohort/differencing"),
  refused("S6", "a redone round without the last facility", "cohort/differencing"),
  answered("S6", "a redone round with the same facilities", "partial"),
  refused("S3", "a valid certificate to one that was never shown the list", "cohort/uncertified", "last"),
  refused("S8", "a certificate over a dealer whose share was never checked", "cohort/missing-part", "four"),
  refused("S10", "one attempt more than the study allows", "round/unexpected"),
  refused("S5", "a valid certificate for the list that others signed", "cohort/second-list", "first"),
  refused("S3", "a certificate with the signature of the one it deceived", "cohort/uncertified"),
  refused("S3", "a certificate of signatures for two lists", "cohort/uncertified"),
  refused("S3", "the same list over an older log", "cohort/uncertified"),
  refused(
    "S6",
    "one facility fewer than in a list that was signed but never certified",
    "cohort/differencing",
    "first",
  ),
  refused("S6", "one facility more than in a certified list", "cohort/differencing", "rest"),
  refused("S10", "one round more than the study has", "round/unexpected"),
  {
    ...answered(
      "S7",
      "a final head that does not extend the log",
      "final-report without a signature",
      "first",
    ),
    logged: "log/not-extending",
  },
  dropped("S5", "a second end of the study", "finish"),
  dropped("S5", "a round after the end of the study", "announce"),
  dropped("S5", "a second end after that round", "finish"),
  {
    ...answered("S7", "a last head that too few have signed", "nothing", "first"),
    logged: "cohort/uncertified",
  },
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
  run = await StudyRun.layOut({ facilities: 5, fogs: 1, rounds: 3, seed: null, protection: "shamir" })
  run.startAllBut(["leader"])
  run.start("leader", hostile)
  await run.said("leader", WANTS_ROSTER)
  await callAdmin(join(run.folder, LEAVES, "data"), "leave")
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
  it("each facility has logged each refusal, in order, about the leader, and nothing else", () => {
    for (const name of report.names) {
      const expected = expectedSecurity(report, EXPECTED, name)
      expect([name, securityLogged(run, name, report)]).toEqual([name, expected])
    }
  })

  it("each facility has logged each message that it dropped", () => {
    const types = EXPECTED.flatMap((row) => row.dropped ?? [])
    for (const name of report.names) {
      const dropped = recorded(run, name, "message-dropped").map((detail) => detail.split(":")[0])
      expect([name, dropped]).toEqual([name, types])
    }
  })

  it("exact figures came once per measured list, and once at the end", () => {
    expect(report.figures).toEqual({ rounds: report.names.length, final: report.names.length })
  })

  it("the fog has logged what it did not pass on, and told the leader", () => {
    const stopped = ["identity/bad-signature", "round/unexpected"]
    expect(securityLogged(run, "fog-1", report)).toEqual(stopped.map((code) => `${code}, other evidence`))
    expect(report.fogSecurity).toEqual(stopped.map((code) => `fog-1: ${code}`))
  })

  it("partial openings came for certified lists only", () => {
    // the first list was asked for twice, of one a third time; the last was signed by four
    expect(report.partials).toEqual({
      "round 1, attempt 1": 11,
      "round 1, attempt 2": 5,
      "round 2, attempt 1": 4,
    })
    for (const [i, name] of report.names.entries())
      expect([name, recorded(run, name, "partial-opening-given").length]).toEqual([name, i === 0 ? 2 : 3])
  })

  it("the redone round opened the same sum, to the last digit", () => {
    const first = report.sums["round 1, attempt 1"] as string
    expect(first.split(",")).toHaveLength(15)
    expect(report.sums["round 1, attempt 2"]).toBe(first)
    expect(report.sums["round 2, attempt 1"]).not.toBe(first)
  })
})

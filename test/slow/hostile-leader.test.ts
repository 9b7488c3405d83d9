import { rmSync } from "node:fs"
import { join } from "node:path"
import { equalBytes } from "@consilium/base/bytes"
import { fromUtf8 } from "@consilium/base/platform"
import { participantId } from "@consilium/federation/roster"
import { callAdmin } from "@consilium/node/admin/client"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { bundle } from "../security/bundle.js"
import { WANTS_ROSTER } from "../security/hostile-script.js"
import type { HostileReport } from "../security/hostile-study.js"
import { roleLog } from "../security/role-log.js"
import { buildProgram, StudyRun, temporaryFolder } from "../security/study-run.js"

// A leader process with a real kit follows a script of its own; facilities and fog are the program as it is. With
// n = 5 and c = 1 a certificate needs 4 signatures, and k = 3 facilities are the fewest whose sum is opened.

/** Asks to leave, so that there is a second roster that the leader can misuse. */
const LEAVES = "hospital-2"

type Targets = "all" | "first" | "rest" | "four" | "last" | "fog"

interface Expected {
  readonly scenario: string
  readonly to: Targets
  readonly answer: string
  /** What a facility logs where it answers nothing. */
  readonly logged?: string
  /** Set where a message is dropped as out of its time: its type. */
  readonly dropped?: string
}

const refused = (scenario: string, code: string, to: Targets = "all"): Expected => ({
  scenario,
  to,
  answer: `refused: ${code}`,
})
const silent = (scenario: string, logged: string): Expected => ({
  scenario,
  to: "all",
  answer: "nothing",
  logged,
})
const dropped = (scenario: string, type: string): Expected => ({
  scenario,
  to: "all",
  answer: "nothing",
  dropped: type,
})
const answered = (scenario: string, answer: string, to: Targets = "all"): Expected => ({
  scenario,
  to,
  answer,
})

const EXPECTED: readonly Expected[] = [
  silent("a list signed by a stranger", "identity/bad-signature"),
  answered("a list signed by a stranger, to everyone", "stopped", "fog"),
  answered("the end of an attempt, in an envelope of another study", "stopped", "fog"),
  refused("a round of another study", "round/unexpected"),
  refused("a model that is not the announced one", "round/wrong-model"),
  refused("a roster that the authority has not signed", "identity/bad-roster"),
  refused("a roster in the middle of a round", "round/unexpected"),
  refused("a round among another roster", "round/unexpected"),
  refused("a list of two to be challenged", "cohort/too-small"),
  refused("a second challenge for one dealing", "cohort/second-list"),
  answered("the same challenge again", "same bytes"),
  refused("a list proposed before its shares are checked", "cohort/uncertified"),
  refused("a second challenge after the check", "cohort/second-list"),
  refused("a list of two to be certified", "cohort/too-small"),
  refused("a second list in one attempt", "cohort/second-list"),
  refused("a log that is not the one seen before", "log/not-extending"),
  refused("a log with an event left out", "log/not-extending"),
  refused("a log that ends before what was seen", "log/not-extending"),
  refused("a certificate with too few signatures", "cohort/uncertified"),
  refused("a certificate filled up with forged signatures", "cohort/uncertified"),
  refused("a certificate with one signature under several names", "cohort/uncertified"),
  refused("a certificate for another list than was signed", "cohort/uncertified"),
  silent("a certificate with one signature twice", "encoding/malformed"),
  silent("a valid certificate signed by a stranger", "identity/bad-signature"),
  answered("the same certificate again", "same bytes"),
  refused("another list after the opening", "cohort/second-list"),
  refused("a certificate for another list after the opening", "cohort/uncertified"),
  dropped("a second model to be measured over one list", "candidate"),
  refused("a redone round without the first facility", "cohort/differencing"),
  refused("a redone round without the last facility", "cohort/differencing"),
  answered("a redone round with the same facilities", "partial"),
  refused("a valid certificate to one that was never shown the list", "cohort/uncertified", "last"),
  refused("a certificate over a dealer whose share was never checked", "cohort/missing-part", "four"),
  refused("one attempt more than the study allows", "round/unexpected"),
  refused("a valid certificate for the list that others signed", "cohort/second-list", "first"),
  refused("a certificate with the signature of the one it deceived", "cohort/uncertified"),
  refused("a certificate of signatures for two lists", "cohort/uncertified"),
  refused("the same list over an older log", "cohort/uncertified"),
  refused(
    "one facility fewer than in a list that was signed but never certified",
    "cohort/differencing",
    "first",
  ),
  refused("one facility more than in a certified list", "cohort/differencing", "rest"),
  refused("one round more than the study has", "round/unexpected"),
  {
    ...answered("a final head that does not extend the log", "final-report without a signature", "first"),
    logged: "log/not-extending",
  },
  dropped("a second end of the study", "finish"),
  dropped("a round after the end of the study", "announce"),
  dropped("a second end after that round", "finish"),
  {
    ...answered("a last head that too few have signed", "nothing", "first"),
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
  codes = await run.complete()
  report = JSON.parse(run.output("leader", "out")) as HostileReport
  seconds = (performance.now() - began) / 1000
})

afterAll(async () => {
  if (report !== undefined) console.log(table())
  await run?.close()
  rmSync(folder, { recursive: true, force: true })
})

const namesOf = (to: Targets): readonly string[] => {
  const { names } = report
  return {
    all: names,
    first: names.slice(0, 1),
    rest: names.slice(1),
    four: names.slice(0, 4),
    last: names.slice(4),
    fog: ["fog"],
  }[to]
}

/** What was tried and what came back, for the reader of the test's output. */
const table = (): string => {
  const rows = report.tried.map(({ scenario, answers }) => {
    const said = [...new Set(Object.values(answers))].map(
      (answer) => `${Object.values(answers).filter((other) => other === answer).length} x ${answer}`,
    )
    const row = EXPECTED.find((one) => one.scenario === scenario)
    const kept = row?.logged ?? (row?.dropped && "message-dropped")
    return `  ${scenario.padEnd(72)} ${said.join(", ")}${kept ? `, logged: ${kept}` : ""}`
  })
  return [`A dishonest leader, ${rows.length} attempts in ${seconds.toFixed(1)} s:`, ...rows].join("\n")
}

/** Types of the events of a kind in a role's own log, about the leader. */
const loggedBy = (name: string, prefix: string): readonly string[] =>
  roleLog(join(run.folder, name, "data"))
    .filter(({ header }) => header.type.startsWith(prefix))
    .map(
      ({ header }) =>
        `${equalBytes(header.actor, participantId("leader")) ? "" : "of somebody else: "}${header.type.slice(prefix.length)}`,
    )

it("the script came to its end, and every process with it", () => {
  expect(report.stopped).toBeNull()
  expect(codes).toEqual(Object.fromEntries(run.layout.processes.map(({ name }) => [name, 0])))
})

it("everything that was tried is in the table of what is expected, in its order", () => {
  expect(report.tried.map(({ scenario }) => scenario)).toEqual(EXPECTED.map(({ scenario }) => scenario))
})

it.each(EXPECTED)("$scenario: $answer", ({ scenario, to, answer }) => {
  const tried = report.tried.find((one) => one.scenario === scenario)
  expect(tried?.answers).toEqual(Object.fromEntries(namesOf(to).map((name) => [name, answer])))
})

describe("on disk and in all", () => {
  it("each facility has logged each refusal, in order, about the leader, and nothing else", () => {
    for (const name of report.names) {
      const expected = EXPECTED.filter(({ to }) => namesOf(to).includes(name)).flatMap(
        ({ answer, logged }) => {
          if (logged !== undefined) return [logged]
          return answer.startsWith("refused: ") ? [answer.slice("refused: ".length)] : []
        },
      )
      expect([name, loggedBy(name, "security:")]).toEqual([name, expected])
    }
  })

  it("each facility has logged each message that it dropped", () => {
    const types = EXPECTED.flatMap((row) => row.dropped ?? [])
    for (const name of report.names) {
      const details = roleLog(join(run.folder, name, "data"))
        .filter(({ header }) => header.type === "message-dropped")
        .map(({ body }) => fromUtf8(body))
      expect([name, details.map((detail) => detail.split(":")[0])]).toEqual([name, types])
    }
  })

  it("exact figures came once per measured list, and once at the end", () => {
    expect(report.figures).toEqual({ rounds: report.names.length, final: report.names.length })
  })

  it("the fog has logged what it did not pass on, and told the leader", () => {
    const stopped = ["identity/bad-signature", "round/unexpected"]
    expect(loggedBy("fog-1", "security:")).toEqual(stopped)
    expect(report.fogSecurity).toEqual(stopped.map((code) => `fog-1: ${code}`))
  })

  it("partial openings came for certified lists only", () => {
    // the first list was asked for twice; the last was signed by four
    expect(report.partials).toEqual({
      "round 1, attempt 1": 10,
      "round 1, attempt 2": 5,
      "round 2, attempt 1": 4,
    })
    for (const [i, name] of report.names.entries())
      expect([
        name,
        roleLog(join(run.folder, name, "data")).filter(
          ({ header }) => header.type === "partial-opening-given",
        ).length,
      ]).toEqual([name, i === 0 ? 2 : 3])
  })

  it("the redone round opened the same sum, to the last digit", () => {
    const first = report.sums["round 1, attempt 1"] as string
    expect(first.split(",")).toHaveLength(15)
    expect(report.sums["round 1, attempt 2"]).toBe(first)
    expect(report.sums["round 2, attempt 1"]).not.toBe(first)
  })
})

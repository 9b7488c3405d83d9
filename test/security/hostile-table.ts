import { join } from "node:path"
import { equalBytes } from "@consilium/base/bytes"
import { fromUtf8 } from "@consilium/base/platform"
import { participantId } from "@consilium/federation/roster"
import type { Tried } from "./hostile-leader.js"
import type { HostileReport } from "./hostile-study.js"
import { roleLog } from "./role-log.js"
import type { StudyRun } from "./study-run.js"

export type Targets = "all" | "first" | "rest" | "four" | "last" | "fog" | "leader"

/** What a dishonest leader tries, and what must come of it. */
export interface Expected {
  /** The promise of SECURITY.md that it would break. */
  readonly promise: string
  readonly scenario: string
  readonly to: Targets
  readonly answer: string
  /** What a facility logs where it answers nothing. */
  readonly logged?: string
  /** Set where a message is dropped as out of its time: its type. */
  readonly dropped?: string
  /** Whether the facility sits the round out, as a leader may ask for without cheating: no event of security. */
  readonly sitsOut?: boolean
}

export const refused = (promise: string, scenario: string, code: string, to: Targets = "all"): Expected => ({
  promise,
  scenario,
  to,
  answer: `refused: ${code}`,
})
export const satOut = (promise: string, scenario: string, code: string): Expected => ({
  ...refused(promise, scenario, code),
  sitsOut: true,
})
export const silent = (promise: string, scenario: string, logged: string): Expected => ({
  promise,
  scenario,
  to: "all",
  answer: "nothing",
  logged,
})
export const dropped = (promise: string, scenario: string, type: string, to: Targets = "all"): Expected => ({
  promise,
  scenario,
  to,
  answer: "nothing",
  dropped: type,
})
export const answered = (
  promise: string,
  scenario: string,
  answer: string,
  to: Targets = "all",
): Expected => ({
  promise,
  scenario,
  to,
  answer,
})

/** Who an attempt of a report went to. */
export const namesOf = ({ names }: HostileReport, to: Targets): readonly string[] =>
  ({
    all: names,
    first: names.slice(0, 1),
    rest: names.slice(1),
    four: names.slice(0, 4),
    last: names.slice(4),
    fog: ["fog"],
    leader: ["leader"],
  })[to]

const CODE = "refused: "
/** Evidence that is an envelope, or a part of a message. */
const OTHER_EVIDENCE = "other evidence"
/** The code of the security event that a row leaves in a facility's log, or null. */
const codeOf = ({ answer, logged, sitsOut }: Expected): string | null =>
  logged ?? (answer.startsWith(CODE) && !sitsOut ? answer.slice(CODE.length) : null)

/** What a facility must have logged of the attempts, in order: the code, and the digest of the message that was refused. */
export const expectedSecurity = (
  report: HostileReport,
  table: readonly Expected[],
  name: string,
): readonly string[] =>
  table.flatMap((row) => {
    const code = namesOf(report, row.to).includes(name) ? codeOf(row) : null
    if (code === null) return []
    const message = row.logged === undefined ? triedIn(report, row.scenario)?.evidence : null
    return [`${code}, ${message ?? OTHER_EVIDENCE}`]
  })

export const triedIn = (report: HostileReport, scenario: string): Tried | undefined =>
  report.tried.find((one) => one.scenario === scenario)

/** Events of security in a role's own log, about the leader unless it says otherwise: code, and digest of the evidence. */
export const securityLogged = (run: StudyRun, name: string, report: HostileReport): readonly string[] => {
  const known = new Set(report.tried.map(({ evidence }) => evidence))
  return roleLog(join(run.folder, name, "data"))
    .filter(({ header }) => header.type.startsWith("security:"))
    .map(({ header, body }) => {
      const about = equalBytes(header.actor, participantId("leader")) ? "" : "of somebody else: "
      const digest = /\(evidence ([0-9a-f]{64})\)$/.exec(fromUtf8(body))?.[1]
      const evidence = digest === undefined ? "no evidence" : known.has(digest) ? digest : OTHER_EVIDENCE
      return `${about}${header.type.slice("security:".length)}, ${evidence}`
    })
}

/** Details of the events of one type in a role's own log. */
export const recorded = (run: StudyRun, name: string, type: string): readonly string[] =>
  roleLog(join(run.folder, name, "data"))
    .filter(({ header }) => header.type === type)
    .map(({ body }) => fromUtf8(body))

/** What was tried and what came back, for the reader of the test's output. */
export const tableOf = (report: HostileReport, table: readonly Expected[], seconds: number): string => {
  const rows = report.tried.map(({ scenario, answers }) => {
    const said = [...new Set(Object.values(answers))].map(
      (answer) => `${Object.values(answers).filter((other) => other === answer).length} x ${answer}`,
    )
    const row = table.find((one) => one.scenario === scenario)
    const kept = row?.logged ?? (row?.dropped && "message-dropped")
    return `  ${scenario.padEnd(72)} ${said.join(", ")}${kept ? `, logged: ${kept}` : ""}`
  })
  return [`A dishonest leader, ${rows.length} attempts in ${seconds.toFixed(1)} s:`, ...rows].join("\n")
}

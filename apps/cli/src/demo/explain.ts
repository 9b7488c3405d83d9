import { toHex } from "@consilium/base/bytes"
import type { LogEntry } from "@consilium/federation/log"
import { type Message, type MessageOf, specDigest } from "@consilium/federation/messages"
import type { Directory } from "@consilium/federation/roster"
import {
  isLattice,
  parameterCount,
  quorum,
  type Study,
  studyAmong,
  valueCount,
} from "@consilium/federation/study"
import { explainLattice } from "@consilium/federation/sums/lattice-parameters"
import { messageOf } from "@consilium/node/api/logged"
import { withStoredStudy } from "@consilium/node/audit-sources"

/** An event of the log with the message in it, if there is one. */
interface Moment {
  readonly at: number
  readonly type: string
  readonly message: Message | null
}

interface Told {
  readonly study: Study
  readonly directory: Directory
  readonly moments: readonly Moment[]
}

const size = (bytes: number): string =>
  bytes < 10_000
    ? `${bytes} bytes`
    : bytes < 10_000_000
      ? `${Math.round(bytes / 1000)} kB`
      : `${(bytes / 1e6).toFixed(1)} MB`

const sizes = (all: readonly number[]): string =>
  all.length === 0
    ? "nothing"
    : `${all.length} x ${size(Math.round(all.reduce((a, b) => a + b, 0) / all.length))}`

const seconds = (from: number, to: number): string => `+${((to - from) / 1000).toFixed(2)} s`

const of = <T extends Message["type"]>(
  moments: readonly Moment[],
  type: T,
): readonly (Moment & { readonly message: MessageOf<T> })[] =>
  moments.flatMap((moment) =>
    moment.message?.type === type ? [{ ...moment, message: moment.message as MessageOf<T> }] : [],
  )

/** The events from one announcement up to the next. */
const attempts = ({ moments }: Told): readonly (readonly Moment[])[] => {
  const out: Moment[][] = []
  for (const moment of moments) {
    if (moment.message?.type === "announce") out.push([])
    out.at(-1)?.push(moment)
  }
  return out
}

const announced = (attempt: readonly Moment[]): MessageOf<"announce"> =>
  (of(attempt, "announce")[0] as { readonly message: MessageOf<"announce"> }).message

const line = (when: string, what: string): string => `  ${when.padEnd(9)} ${what}`

const ceremonyLines = ({ directory }: Told, ceremony: readonly Moment[]): readonly string[] => {
  const start = (ceremony[0] as Moment).at
  const dealt = of(ceremony, "submit")
  const tested = of(ceremony, "key-tested")
  const certified = of(ceremony, "certificate")[0]
  const { epoch } = announced(ceremony).spec
  const last = (all: readonly Moment[]): number => all.at(-1)?.at ?? start
  const verdicts = of(ceremony, "verdict")
  return [
    `The keys of epoch ${epoch}, dealt among ${directory.facilities.length} facilities before round ${announced(ceremony).spec.round}`,
    line(
      seconds(start, last(dealt)),
      `${dealt.length} facilities drew a key, kept it, and sealed a share of it to each of the others: ${dealt.reduce((sum, { message }) => sum + message.submission.parts.length, 0)} shares`,
    ),
    line(
      seconds(start, last(verdicts)),
      `each checked the shares it got: ${verdicts.reduce((sum, { message }) => sum + message.good.length, 0)} good, ${verdicts.reduce((sum, { message }) => sum + message.complaints.length, 0)} disputed`,
    ),
    line(
      seconds(start, last(tested)),
      `each encrypted a zero (${sizes(tested.flatMap(({ message }) => (message.test === null ? [] : [message.test.length])))}), and ${tested.filter(({ message }) => message.answers.length > 0).length} of them opened all of those together`,
    ),
    ...(certified === undefined
      ? ["  the ceremony was void"]
      : [
          line(
            seconds(start, certified.at),
            `${certified.message.signatures.length} signed the list of ${certified.message.proposal.cohort.length} keys: the epoch began`,
          ),
        ]),
    "",
  ]
}

const UPDATE: Readonly<Record<Study["protection"], string>> = {
  plain: "sends them as they are to its fog, which can read them",
  shamir: "deals a share of them, sealed, to every other facility",
  ckks: "encrypts them under its own key",
  bfv: "encrypts them under its own key",
  masked: "masks them under a key for this once, and deals sealed shares of that key",
}

const roundLines = ({ study, directory }: Told, round: readonly Moment[]): readonly string[] => {
  const { spec } = announced(round)
  const start = (round[0] as Moment).at
  const regions = of(round, "region")
  const direct = of(round, "update")
  const submits = of(round, "submit")
  const locked = of(round, "lock")[0]
  const proposed = of(round, "propose")[0]
  const certified = of(round, "certificate")[0]
  const partials = of(round, "partial")
  const opened = round.find(({ type }) => type === "sum-opened")
  const last = (all: readonly Moment[]): number => all.at(-1)?.at ?? start
  const names = (ids: readonly Uint8Array[]): string => ids.map((id) => directory.get(id).name).join(", ")
  const values = valueCount(study)
  const among = directory.facilities.length
  return [
    `One sum, step by step: round ${spec.round}`,
    line(
      "+0.00 s",
      `the leader announced the model of ${parameterCount(study)} numbers to ${among} facilities`,
    ),
    line(
      seconds(start, last([...regions, ...direct, ...submits])),
      `each trained on its own rows, made ${values} integers of the change (${size(4 * values)}), and ${UPDATE[study.protection]}`,
    ),
    ...(direct.length > 0
      ? [line("", `to the leader directly: ${sizes(direct.map(({ message }) => message.payload.length))}`)]
      : []),
    ...(regions.length > 0
      ? [
          line(
            "",
            `the fogs added them up without opening any: ${sizes(regions.map(({ message }) => message.sum.length))} of sums to the leader`,
          ),
        ]
      : []),
    ...(locked === undefined
      ? []
      : [
          line(
            seconds(start, locked.at),
            "the list was fixed, and every dealer's shares were checked against its one answer",
          ),
        ]),
    ...(proposed === undefined
      ? []
      : [
          line(
            seconds(start, proposed.at),
            `the leader asked all to certify the list of ${proposed.message.proposal.cohort.length}`,
          ),
        ]),
    ...(certified === undefined
      ? []
      : [
          line(
            seconds(start, certified.at),
            `${certified.message.signatures.length} signed; it takes ${quorum(studyAmong(study, among), among)} of ${among}`,
          ),
          ...(certified.message.openers.length > 0
            ? [line("", `named to open: ${names(certified.message.openers)}`)]
            : []),
        ]),
    ...(partials.length > 0
      ? [
          line(
            seconds(start, last(partials)),
            `answers for that list, and for no other: ${sizes(partials.map(({ message }) => message.sealed.length))}`,
          ),
        ]
      : []),
    ...(opened === undefined
      ? []
      : [
          line(
            seconds(start, opened.at),
            `${values} sums were opened, exact, and the model moved by their mean`,
          ),
        ]),
    "",
  ]
}

/** What each role could see, in a study of some protection. */
const viewLines = ({ study }: Told): readonly string[] => {
  const plain = study.protection === "plain"
  const hidden = plain ? "readable" : study.protection === "shamir" ? "none" : "unreadable"
  const row = (role: string, ...cells: readonly string[]): string =>
    `  ${role.padEnd(11)}${cells.map((cell) => cell.padEnd(17)).join("")}`.trimEnd()
  return [
    "Who could see what",
    row("", "patients' rows", "one update", "updates added up", "shares", "the opened sum"),
    row("facility", "its own", "its own", "-", "sealed to it", "by the new model"),
    row("fog", "-", hidden, plain ? "of its region" : "unreadable", "sealed, passing", "by the new model"),
    row("leader", "-", "-", plain ? "of each region" : "unreadable", "sealed, passing", "yes"),
    row("authority", "-", "-", "-", "-", "-"),
    "",
  ]
}

/**
 * A run told from the leader's log, with its real sizes and times: what was encrypted, added, certified and opened, and what
 * each role could see.
 */
export const explainRun = (leaderConfig: string, studyId: string): Promise<readonly string[]> =>
  withStoredStudy(leaderConfig, studyId, async ({ study, directory, store }) => {
    const moments: Moment[] = []
    for await (const entry of store.entries()) moments.push(momentOf(entry))
    const told: Told = { study, directory, moments }
    const all = attempts(told)
    const ceremony = all.find((attempt) => announced(attempt).spec.purpose === "keys")
    const closed = new Set(of(moments, "closed").map(({ message }) => toHex(message.spec)))
    const rounds = all.filter((attempt) => closed.has(toHex(specDigest(announced(attempt).spec))))
    const round = rounds[1] ?? rounds[0]
    return [
      ...(isLattice(study)
        ? [
            "Why these parameters",
            ...explainLattice(study, directory.facilities.length).map((text) => `  ${text}`),
            "",
          ]
        : []),
      ...(ceremony === undefined ? [] : ceremonyLines(told, ceremony)),
      ...(round === undefined ? [] : roundLines(told, round)),
      ...viewLines(told),
    ]
  })

const momentOf = (entry: LogEntry): Moment => ({
  at: entry.header.at,
  type: entry.header.type,
  message: messageOf(entry)?.message ?? null,
})

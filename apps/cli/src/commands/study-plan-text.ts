import { ENVELOPE_BYTES } from "@consilium/federation/plan-messages"
import type { StudyPlan } from "@consilium/federation/plan-study"
import { type AttemptTraffic, bytesOf } from "@consilium/federation/plan-traffic"
import { clippingWords, mechanismWords } from "@consilium/federation/step-words"
import type { NoiseOnSum } from "@consilium/federation/sum-noise"
import type { TimeEstimate } from "@consilium/node/plan/time-estimate"
import { noiseWords } from "./noise-words.js"
import { columns } from "./printed.js"

/** A plan as it is shown: with the time that was measured, if it was, and whether the study could start. */
export interface ShownPlan extends StudyPlan {
  readonly time: TimeEstimate | null
  readonly startable: boolean
}

/** Facilities that are listed one by one. */
const LISTED = 12

const bytes = (count: number): string =>
  count < 10_000
    ? `${count} B`
    : count < 10_000_000
      ? `${(count / 1e3).toFixed(1)} kB`
      : `${(count / 1e6).toFixed(1)} MB`
const seconds = (value: number): string => {
  if (value < 1) return `${(1000 * value).toFixed(0)} ms`
  if (value < 120) return `${value.toFixed(1)} s`
  return value < 7200 ? `${(value / 60).toFixed(1)} min` : `${(value / 3600).toFixed(1)} h`
}
const between = ({ apart, together }: { readonly apart: number; readonly together: number }): string =>
  `${seconds(apart)} to ${seconds(together)}`

const counted = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`

const byName = <T extends { readonly name: string }>(all: readonly T[]): readonly T[] =>
  [...all].sort((a, b) => (a.name < b.name ? -1 : 1))

/** The first few of a list, and how many there are beside them. */
const listed = <T>(all: readonly T[], line: (one: T) => string): readonly string[] => [
  ...all.slice(0, LISTED).map(line),
  ...(all.length > LISTED ? [`  and ${all.length - LISTED} more`] : []),
]

const fogsText = (fogs: readonly string[]): string =>
  fogs.length === 0
    ? "no fog"
    : fogs.length <= LISTED
      ? `fogs: ${[...fogs].sort().join(", ")}`
      : `${fogs.length} fogs`

const cohortText = ({ cohort, facilities, fogs }: StudyPlan): readonly string[] => [
  "",
  "Who takes part, and who may collude",
  `  facilities      ${counted(cohort.facilities, "facility", "facilities")}, ${fogsText(fogs)}`,
  `  sums            opened over ${cohort.smallest} facilities or more (k), by ${cohort.threshold} of them together (t)`,
  `  colluders       the study declares c = ${cohort.colluders}; these numbers withstand ${cohort.withstands}`,
  `  certificates    ${cohort.quorum} signatures`,
  `  may be away     ${cohort.mayBeAway} of them in each round`,
  ...listed(
    byName(facilities),
    ({ name, parent, policyFrom, refusal }) =>
      `  ${name.padEnd(14)}  below ${parent}; ${policyFrom === null ? "default policy assumed" : "its own policy"}: ${refusal === null ? "takes part" : `REFUSES (${refusal.code})`}`,
  ),
]

const figuresText = ({ statistics, evaluations }: StudyPlan["rounds"]["figures"]): readonly string[] => {
  const parts = [
    ...(statistics === 0 ? [] : ["statistics before the first round"]),
    ...(evaluations === 0 ? [] : [`${counted(evaluations, "evaluation", "evaluations")} of the model`]),
  ]
  return parts.length === 0
    ? []
    : [
        `  figures         ${parts.join(" and ")} on all patients together; each crosses the edges like a round`,
      ]
}

const roundsText = ({ rounds, privacy }: StudyPlan): readonly string[] => [
  "",
  "Rounds",
  `  planned         ${rounds.planned}, at most ${counted(rounds.attempts, "attempt", "attempts")} each`,
  `  local work      ${counted(rounds.localSteps, "step", "steps")}${rounds.batchSize === null ? (privacy?.onSum ? " over all patients" : ", patients drawn at random") : ` of ${counted(rounds.batchSize, "row", "rows")}`}${rounds.personalSteps === 0 ? "" : `, and ${rounds.personalSteps} on each facility's own model`}${rounds.fineTuneSteps === 0 ? "" : `; ${rounds.fineTuneSteps} more at the end, on each facility's own copy`}`,
  `  exchanges       the leader asks and waits ${rounds.exchanges} times in each`,
  ...figuresText(rounds.figures),
  ...(rounds.ceremonies === 0
    ? []
    : [`  key ceremonies  ${rounds.ceremonies}, and one more whenever the roster changes`]),
]

const trafficText = (title: string, traffic: AttemptTraffic): readonly string[] => [
  "",
  title,
  ...columns(
    ["  who", "sends", "of it updates", "sealed shares", "answers", "the rest", "receives", "messages"],
    [
      ...byName(traffic.facilities)
        .slice(0, LISTED)
        .map(({ name, up, down, messages }) => [
          `  ${name}`,
          bytes(bytesOf(up)),
          bytes(up.update),
          bytes(up.relayed),
          bytes(up.opening),
          bytes(up.metadata),
          bytes(down),
          String(messages),
        ]),
      ...(traffic.facilities.length > LISTED
        ? [[`  and ${traffic.facilities.length - LISTED} more facilities`]]
        : []),
      ...byName(traffic.fogs)
        .slice(0, LISTED)
        .map((fog) => [
          `  ${fog.name}`,
          "",
          ...[fog.in.update, fog.in.relayed, fog.in.opening, fog.in.metadata].map(bytes),
          bytes(bytesOf(fog.in)),
          String(fog.messages),
        ]),
      ...(traffic.fogs.length > LISTED ? [[`  and ${traffic.fogs.length - LISTED} more fogs`]] : []),
      [
        "  leader",
        bytes(traffic.leader.out),
        ...[
          traffic.leader.in.update,
          traffic.leader.in.relayed,
          traffic.leader.in.opening,
          traffic.leader.in.metadata,
        ].map(bytes),
        bytes(bytesOf(traffic.leader.in)),
        String(traffic.leader.messages),
      ],
    ],
  ),
  `  ${traffic.messages} messages in all; the largest, ${traffic.largest.type}, has ${bytes(traffic.largest.bytes)}`,
]

const bytesText = ({ round, ceremony, rounds, study }: StudyPlan): readonly string[] => {
  if (round === null) return ["", `Bytes: what ${study.protection} sends is not known to this plan.`]
  const most = (of: AttemptTraffic | null): number =>
    of === null ? 0 : Math.max(...of.facilities.map(({ up }) => bytesOf(up)))
  const { statistics, evaluations } = rounds.figures
  const all = (rounds.planned + statistics + evaluations) * most(round) + rounds.ceremonies * most(ceremony)
  return [
    ...trafficText(
      "What crosses the edges in one round (for fogs and leader, columns 3 to 6 are of what they receive)",
      round,
    ),
    ...(ceremony === null ? [] : trafficText("The same in a key ceremony", ceremony)),
    `  all rounds: a facility sends ${bytes(all)} at most`,
    `  (bodies of messages, as the study's own report counts them; each has ${ENVELOPE_BYTES} bytes more of names and signature, and TLS around it)`,
  ]
}

const timeText = (time: TimeEstimate | null, asked: boolean, facilities: number): readonly string[] => {
  if (!asked) return []
  if (time === null) return ["", "Time: measuring did not come to its end, so it is not known."]
  return [
    "",
    `Time, measured just now on this machine (${time.machine}) with ${time.measuredFacilities} facilities in one process${time.measuredFacilities < facilities ? `, reckoned for ${facilities}` : ""}`,
    `  local steps     ${seconds(time.training)} for a facility in a round`,
    `  a round         ${between(time.round)}: facilities on machines of their own, to all of them on one core`,
    ...(time.ceremony === null ? [] : [`  a key ceremony  ${between(time.ceremony)}`]),
    `  the study       ${between(time.study)}`,
    `  with            ${time.includes}`,
    `  without         ${time.excludes}`,
  ]
}

/** Rounds whose epsilon is shown: the first ones, then fewer and fewer, and the last. */
export const shownRounds = (planned: number): readonly number[] => {
  const rounds = new Set<number>()
  for (let scale = 1; scale <= planned; scale *= 10)
    for (const step of [1, 2, 5]) if (scale * step <= planned) rounds.add(scale * step)
  return [...rounds.add(planned)].sort((a, b) => a - b)
}

const sumWords = ({ unit, clipNorm, smallest, colluders, hiding }: NoiseOnSum): readonly string[] => [
  `  where           on each round's opened sum, once: every facility adds a share, and the shares of ${hiding} (${smallest} in the smallest cohort, less ${colluders} colluding) are all of it`,
  `  clipping        ${unit === "patient" ? "each patient's gradient, one step a round," : "each facility's whole update"} at norm ${clipNorm}`,
  `  protects        ${unit === "patient" ? "one patient of a facility" : "all that one facility contributes, and so each of its patients"}`,
]

const privacyText = ({ privacy, rounds }: StudyPlan): readonly string[] => {
  if (privacy === null) return ["", "Privacy: off; nothing is spent, and nothing is bounded."]
  const { epsilon, delta, noise, noiseMultiplier, sampleRate, afterRound, facilities } = privacy
  return [
    "",
    `Privacy: at most epsilon ${epsilon} (delta ${delta}) at each facility`,
    `  noise           ${noise === null ? noiseMultiplier.toPrecision(4) : noiseWords({ ...noise, noiseMultiplier })}`,
    ...(privacy.onSum === null
      ? [
          `  a step          draws each patient with probability ${sampleRate}, adds ${mechanismWords(privacy)} noise`,
          `  clipping        ${clippingWords(privacy)}`,
        ]
      : sumWords(privacy.onSum)),
    `  forecast        epsilon ${shownRounds(rounds.planned)
      .map((round) => `${(afterRound[round - 1] as number).toFixed(3)} after round ${round}`)
      .join(", ")}`,
    ...listed(
      [...facilities].sort((a, b) => (a.facility < b.facility ? -1 : 1)),
      (one) =>
        `  ${one.facility.padEnd(14)}  epsilon ${one.epsilon.toFixed(3)} of ${one.cap} after ${one.rounds} of ${rounds.planned} rounds${one.roundsInOneMonth < one.rounds ? `; ${one.roundsInOneMonth} fit one month` : ""}`,
    ),
  ]
}

export const planText = (plan: ShownPlan, timed: boolean): readonly string[] => [
  `The study ${plan.study.name}: ${plan.study.strategy}, updates protected by ${plan.study.protection}, ${plan.study.parameters} parameters, ${plan.study.values} values in each update`,
  "Nothing is started or written.",
  ...cohortText(plan),
  ...roundsText(plan),
  ...bytesText(plan),
  ...timeText(plan.time, timed, plan.cohort.facilities),
  ...privacyText(plan),
  ...(plan.warnings.length === 0
    ? []
    : ["", "To be known", ...plan.warnings.map((warning) => `  ${warning}`)]),
  "",
  plan.startable
    ? "It could start."
    : `It cannot run like this: ${plan.problems.map(({ message }) => message).join(" ")}`,
]

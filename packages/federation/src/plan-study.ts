import type { ErrorCode } from "@consilium/base/error-codes"
import { figuresAfter } from "./figures/study-figures.js"
import type { PlannedSetting } from "./plan.js"
import { forecastPrivacy, type NoiseChoice, type PrivacyForecast } from "./plan-privacy.js"
import { type AttemptTraffic, ceremonyTraffic, LARGEST_BODY, roundTraffic } from "./plan-traffic.js"
import { type LocalPolicy, type Refusal, refuseStudy } from "./policy.js"
import { isPrivate } from "./privacy-plan.js"
import {
  isKeyed,
  openingThreshold,
  parameterCount,
  quorum,
  type Study,
  strategyName,
  valueCount,
  withstands,
} from "./study.js"
import type { NoiseOnSum } from "./sum-noise.js"
import { protectionOf } from "./sums/protections.js"

/** A facility with the rules that it is known to have, or those of one that wrote none. */
export interface PlannedFacility {
  readonly name: string
  readonly policy: LocalPolicy
  /** Where the policy was read; null for the default policy. */
  readonly policyFrom: string | null
}

/** What stands in a study's way: it cannot run like this. */
export interface PlanProblem {
  readonly code: ErrorCode
  readonly message: string
  readonly remedy: string
}

/** What a study will be, before anybody trains. Nothing in it comes from anybody's data. */
export interface StudyPlan {
  readonly study: {
    readonly name: string
    readonly strategy: string
    readonly protection: string
    readonly parameters: number
    /** Values in each protected update. */
    readonly values: number
  }
  readonly facilities: readonly {
    readonly name: string
    /** Whom it talks to. */
    readonly parent: string
    readonly policyFrom: string | null
    /** Why it would take no part, by its own rules. */
    readonly refusal: Refusal | null
  }[]
  readonly fogs: readonly string[]
  readonly cohort: {
    readonly facilities: number
    /** k: fewest facilities whose sum is opened. */
    readonly smallest: number
    /** t: facilities that open a sum together. */
    readonly threshold: number
    /** c: colluding facilities that the study declares, and the most that n, t and k withstand. */
    readonly colluders: number
    readonly withstands: number
    /** Signatures that make a certificate. */
    readonly quorum: number
    /** Facilities that may be away while a round still closes. */
    readonly mayBeAway: number
  }
  readonly rounds: {
    readonly planned: number
    readonly attempts: number
    readonly localSteps: number
    /** Rows of a step; null where patients are drawn at a rate. */
    readonly batchSize: number | null
    readonly fineTuneSteps: number
    /** Steps of a round on each facility's own model; 0 without any. */
    readonly personalSteps: number
    /** Times that the leader asks and waits for answers, in each round. */
    readonly exchanges: number
    /** Further sums beside those of the rounds, each about a round's work but for the training. */
    readonly figures: { readonly statistics: number; readonly evaluations: number }
    /** Key ceremonies, unless the roster changes or keys grow too old. */
    readonly ceremonies: number
  }
  /** Bodies of messages in an undisturbed round, as the study's own accounts count them; null if this is not known. */
  readonly round: AttemptTraffic | null
  /** The same for a key ceremony; null where there is none. */
  readonly ceremony: AttemptTraffic | null
  /** Null where the study trains without differential privacy. */
  readonly privacy: PrivacyForecast | null
  readonly warnings: readonly string[]
  readonly problems: readonly PlanProblem[]
}

/** The leader asks for updates, signatures and reports, for checks of shares where they are dealt, and for answers. */
const exchangesOf = (study: Study): number => {
  const { checked, opened } = protectionOf(study)
  return 3 + (checked === null ? 0 : 2) + (opened === null ? 0 : 1)
}

const named = (names: readonly string[]): string => {
  const [first, second, third, ...others] = [...names].sort()
  const shown = [first, second, third].filter((name) => name !== undefined).join(", ")
  return others.length === 0 ? shown : `${shown} and ${others.length} more`
}

const parentOf = ({ directory }: PlannedSetting, name: string): string =>
  directory.get(directory.named(name).parent as Uint8Array).name

/** Regions of one facility, whose sums are single updates. */
const readableRegions = ({ study, directory }: PlannedSetting): readonly string[] =>
  study.protection !== "plain"
    ? []
    : directory.fogs.flatMap(({ id }) => {
        const [only, another] = directory.childrenOf(id)
        return only !== undefined && another === undefined ? [only.name] : []
      })

type Refused = StudyPlan["facilities"]

const refusalsOf = (setting: PlannedSetting, facilities: readonly PlannedFacility[]): Refused =>
  facilities.map(({ name, policy, policyFrom }) => ({
    name,
    parent: parentOf(setting, name),
    policyFrom,
    refusal: refuseStudy(policy, setting.study),
  }))

const cohortOf = ({ study, directory }: PlannedSetting): StudyPlan["cohort"] => {
  const facilities = directory.facilities.length
  const threshold = openingThreshold(study, facilities)
  const { minCohort, colluders } = study.cohort
  const signatures = quorum(study, facilities)
  const opens = protectionOf(study).opened === null ? 0 : threshold
  return {
    facilities,
    smallest: minCohort,
    threshold,
    colluders,
    withstands: withstands(facilities, { minCohort, threshold }),
    quorum: signatures,
    mayBeAway: facilities - Math.max(minCohort, signatures, opens),
  }
}

/** Whether a study's local steps are those of one without noise: it is the whole update that noise covers. */
const isWholeUpdate = ({ privacy }: Study): boolean => privacy?.noise === "sum" && privacy.unit === "facility"

/** What noise on the sum rests on, and noise of each facility's own does not. */
const sumWarning = ({ smallest, colluders, hiding }: NoiseOnSum): string =>
  `The noise is on the sum: what is promised holds while no more than ${colluders} of a sum's facilities work together, since the shares of ${hiding} others of ${smallest} are all of it; no facility's noise covers it alone. An attempt whose list was certified can only be repeated with the same facilities.`

const privacyWarnings = ({ study }: PlannedSetting, privacy: PrivacyForecast | null): readonly string[] => {
  if (privacy === null)
    return ["Without differential privacy the model carries no bound on what it tells of one patient."]
  const early = privacy.facilities.filter(({ rounds }) => rounds < study.rounds)
  const inMonth = privacy.facilities.filter(
    ({ rounds, roundsInOneMonth }) => roundsInOneMonth < Math.min(rounds, study.rounds),
  )
  const after = (all: readonly { readonly facility: string }[], rounds: readonly number[]): string =>
    `${named(all.map(({ facility }) => facility))} after round ${[...new Set(rounds)].sort((a, b) => a - b).join(", ")} of ${study.rounds}`
  return [
    ...(privacy.onSum === null ? [] : [sumWarning(privacy.onSum)]),
    ...(early.length === 0
      ? []
      : [
          `Budgets are used up before the end: ${after(
            early,
            early.map(({ rounds }) => rounds),
          )}.`,
        ]),
    ...(inMonth.length === 0
      ? []
      : [
          `If all rounds fall in one calendar month, monthly budgets are used up before the end: ${after(
            inMonth,
            inMonth.map(({ roundsInOneMonth }) => roundsInOneMonth),
          )}.`,
        ]),
    ...(study.privacy?.metrics === "exact"
      ? [
          "Each facility's own figures on its held-out patients may be sent without noise; the privacy budget does not cover them.",
        ]
      : []),
  ]
}

const warningsOf = (
  setting: PlannedSetting,
  facilities: readonly PlannedFacility[],
  plan: Pick<StudyPlan, "facilities" | "cohort" | "round" | "privacy">,
): readonly string[] => {
  const { study } = setting
  const regions = readableRegions(setting)
  const refusing = plan.facilities.filter(({ refusal }) => refusal !== null)
  const reasons = [...new Set(refusing.map(({ refusal }) => refusal?.reason as string))]
  const asking = facilities.filter(({ policy }) => policy.approval === "ask").map(({ name }) => name)
  const hours = facilities.filter(({ policy }) => policy.workingHours !== null).map(({ name }) => name)
  const assumed = facilities.filter(({ policyFrom }) => policyFrom === null).length
  return [
    ...(study.insecureSeed === null
      ? []
      : [
          "Every secret follows from a public seed: the study protects nothing, and no result of it is private.",
        ]),
    ...(study.protection === "plain" ? ["Updates travel readable to the fogs that add them."] : []),
    ...(regions.length === 0
      ? []
      : [
          `The leader reads the single updates of ${named(regions)}: each is the only facility below its fog.`,
        ]),
    ...reasons.map((reason) => {
      const who = refusing.filter(({ refusal }) => refusal?.reason === reason)
      const known = who.some(({ policyFrom }) => policyFrom !== null)
      return known
        ? `${named(who.map(({ name }) => name))} would take no part: ${reason}`
        : `A facility that keeps the default policy would take no part: ${reason}`
    }),
    ...(assumed > 0 && assumed < facilities.length
      ? [`The policies of ${assumed} facilities are not known here; the default one is assumed.`]
      : []),
    ...(asking.length === 0 ? [] : [`A person has to allow the study first at ${named(asking)}.`]),
    ...(hours.length === 0 ? [] : [`Rounds begin within working hours only at ${named(hours)}.`]),
    ...(plan.cohort.mayBeAway === 0
      ? ["Every facility is needed in every round: one that is away makes the attempt void."]
      : []),
    ...(study.attempts === 1 ? ["One attempt that fails ends the study."] : []),
    ...(plan.cohort.colluders === 0
      ? [
          "The study withstands no colluding facility: one that works with the leader may learn the updates of others.",
        ]
      : []),
    ...(plan.round === null
      ? [`What ${study.protection} sends is not known to this plan: bytes and messages are left out.`]
      : []),
    ...privacyWarnings(setting, plan.privacy),
  ]
}

const tooFewWilling = ({
  cohort,
  facilities,
}: Pick<StudyPlan, "cohort" | "facilities">): PlanProblem | null => {
  const refusing = facilities.filter(({ refusal, policyFrom }) => refusal !== null && policyFrom !== null)
  if (refusing.length <= cohort.mayBeAway) return null
  return {
    code: "cohort/too-small",
    message: `${refusing.length} of ${cohort.facilities} facilities would take no part by their own policies; a round needs ${cohort.facilities - cohort.mayBeAway}.`,
    remedy: "Change the study, or ask those facilities; the plan names the rule of each.",
  }
}

const tooLarge = (attempts: readonly (AttemptTraffic | null)[]): PlanProblem | null => {
  const found = attempts.find((attempt) => attempt !== null && attempt.largest.bytes > LARGEST_BODY)
  if (!found) return null
  return {
    code: "round/bad-study",
    message: `A message of the kind ${found.largest.type} would have ${found.largest.bytes} bytes; no more than ${LARGEST_BODY} can be sent.`,
    remedy:
      "Take a smaller model, fewer facilities, or a protection that deals no shares in a round, such as ckks.",
  }
}

/** Sums that a study opens if all goes well. */
const sumsOf = (study: Study): number => {
  const { statistics, evaluations } = figuresAfter(study, study.rounds)
  return study.rounds + statistics + evaluations
}

/**
 * Plans a study among the participants of a directory, without any data: who takes part, what the cohort rule withstands,
 * what crosses the edges, what is spent, and what speaks against it.
 */
export const planStudy = (
  setting: PlannedSetting,
  facilities: readonly PlannedFacility[],
  noise: NoiseChoice | null = null,
): StudyPlan => {
  const { study, directory } = setting
  const { training } = study
  const figures =
    study.validation === "report" &&
    (study.privacy === null || study.privacy.metrics === "exact") &&
    facilities.some(({ policy }) => policy.metrics === "exact")
  const plan = {
    facilities: refusalsOf(setting, facilities),
    cohort: cohortOf(setting),
    round: roundTraffic(setting, figures),
    ceremony: ceremonyTraffic(setting),
    privacy: forecastPrivacy(study, facilities, noise),
  }
  return {
    study: {
      name: study.name,
      strategy: strategyName(study),
      protection: study.protection,
      parameters: parameterCount(study),
      values: valueCount(study),
    },
    fogs: directory.fogs.map(({ name }) => name),
    rounds: {
      planned: study.rounds,
      attempts: study.attempts,
      localSteps: training.steps,
      batchSize: isPrivate(study) && !isWholeUpdate(study) ? null : training.batchSize,
      fineTuneSteps: training.fineTuneSteps,
      personalSteps: training.ditto?.steps ?? 0,
      exchanges: exchangesOf(study),
      figures: figuresAfter(study, study.rounds),
      ceremonies: isKeyed(study) && study.keys !== null ? Math.ceil(sumsOf(study) / study.keys.openings) : 0,
    },
    ...plan,
    warnings: warningsOf(setting, facilities, plan),
    problems: [tooFewWilling(plan), tooLarge([plan.round, plan.ceremony])].flatMap((one) => one ?? []),
  }
}

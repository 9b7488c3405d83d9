import { ConsiliumError } from "@consilium/base/errors"
import { type BudgetPlan, MOST_ROUNDS, type NoisePlace, planBudget } from "@consilium/federation/plan-budget"
import type { PrivacyForecast } from "@consilium/federation/plan-privacy"
import { planStudy } from "@consilium/federation/plan-study"
import { privacyConfigSchema, privacyTerms } from "@consilium/node/config/privacy-config"
import { parseConfig, readConfig } from "@consilium/node/config/yaml-file"
import type { PlannedStudy } from "@consilium/node/plan/planned-study"
import { DEFAULT_SWITCHES, type PrivacySwitches, switchesToPlan } from "@consilium/node/plan/privacy-switches"
import { noiseWords } from "./noise-words.js"
import { columns, type Format, print } from "./printed.js"
import { plannedOf } from "./study-plan.js"
import { shownRounds } from "./study-plan-text.js"

/** What `privacy plan --format json` prints. */
interface ShownBudget extends PrivacyForecast, BudgetPlan {
  readonly study: string
  readonly rounds: number
  readonly notes: readonly string[]
}

const PLACES = { local: "each facility, own steps", sum: "one noise, on the sum" } as const

const placeRow = (place: NoisePlace): readonly string[] => [
  `  ${PLACES[place.where]}${place.chosen ? " (planned)" : ""}`,
  place.noiseMultiplier.toPrecision(4),
  String(place.steps),
  String(place.sampleRate),
  place.epsilon.toFixed(3),
  place.relativeNoise.toPrecision(3),
]

const placesText = ({ places, onePlace }: BudgetPlan): readonly string[] =>
  places.length === 0
    ? ["", `The other place of the noise: ${onePlace}`]
    : [
        "",
        "The same budget in the other place of the noise",
        ...columns(
          ["  added by", "multiplier", "steps in all", "drawn", "epsilon", "noise on a step's mean *"],
          places.map(placeRow),
        ),
        "  * in clip norms / patients of all facilities: standard deviation of the noise on one step's mean gradient",
      ]

const roundsText = ({ roundsWithin, epsilon, rounds }: ShownBudget): string =>
  roundsWithin === null
    ? `more than ${MOST_ROUNDS} fit epsilon ${epsilon}`
    : `${roundsWithin} fit epsilon ${epsilon}${roundsWithin < rounds ? `: the study ends after round ${roundsWithin} of ${rounds}` : `; ${rounds} are planned`}`

const pldText = ({ readings: { rdp, pld, rounds } }: BudgetPlan): string =>
  pld === null
    ? `epsilon ${rdp.toFixed(3)} after ${rounds} rounds by RDP, which facilities stop by; PLD reads plain Gaussian noise of training alone`
    : `epsilon ${rdp.toFixed(3)} after ${rounds} rounds by RDP, which facilities stop by; ${pld.toFixed(3)} by PLD for continuous noise of the same size, a tighter reading that no cap is held against`

const budgetText = (shown: ShownBudget): readonly string[] => {
  const { noise, noiseMultiplier, epsilon, delta, sampleRate, maxGradNorm, stepsPerRound } = shown
  return [
    `Privacy of ${shown.study}: at most epsilon ${epsilon} (delta ${delta}) at each facility`,
    ...shown.notes.map((note) => `  note            ${note}`),
    `  noise           ${noise === null ? noiseMultiplier.toPrecision(4) : noiseWords({ ...noise, noiseMultiplier })}`,
    `  a step          draws each patient with probability ${sampleRate}, clips at norm ${maxGradNorm}; ${stepsPerRound} ${stepsPerRound === 1 ? "step" : "steps"} a round`,
    `  rounds          ${roundsText(shown)}`,
    `  readings        ${pldText(shown)}`,
    "",
    ...columns(
      ["  after round", "epsilon"],
      shownRounds(shown.rounds).map((round) => {
        const spent = shown.afterRound[round - 1] as number
        return [`  ${round}`, `${spent.toFixed(3)}${spent > epsilon ? "  not reached: over the budget" : ""}`]
      }),
    ),
    ...placesText(shown),
    "",
    ...columns(
      ["  facility", "may spend", "rounds that fit", "spent by then", "fit one month"],
      [...shown.facilities]
        .sort((a, b) => (a.facility < b.facility ? -1 : 1))
        .map((one) => [
          `  ${one.facility}`,
          String(one.cap),
          `${one.rounds} of ${shown.rounds}`,
          one.epsilon.toFixed(3),
          String(one.roundsInOneMonth),
        ]),
    ),
  ]
}

const show = ({ setting, facilities, noise, notes }: PlannedStudy, format: Format): void => {
  const { privacy } = planStudy(setting, facilities, noise)
  const { study } = setting
  const budget = planBudget(study, facilities.length)
  if (privacy === null || budget === null)
    throw new ConsiliumError(
      "cli/usage",
      `The study ${study.name} trains without differential privacy: nothing is spent.`,
      {
        remedy: "Give --privacy-config, or a study whose privacy is not null.",
      },
    )
  const shown: ShownBudget = { study: study.name, rounds: study.rounds, notes, ...privacy, ...budget }
  print(format, shown, budgetText(shown))
}

type OfStudy = Parameters<typeof plannedOf>[0] & { readonly format: Format }

/** Prints the privacy of a study before it starts. */
export const privacyPlanOfStudy = async ({ format, ...options }: OfStudy): Promise<void> =>
  show(await plannedOf(options), format)

interface OfSwitches extends Partial<PrivacySwitches> {
  readonly privacyConfig?: string
  readonly epsilon?: number
  readonly delta?: number
  readonly noiseMultiplier?: number
  readonly calibrate: boolean
  readonly format: Format
}

/** Prints the privacy of a study of these numbers, which need not exist. */
export const privacyPlanOfSwitches = async (options: OfSwitches): Promise<void> => {
  const { privacyConfig, epsilon, delta, noiseMultiplier, calibrate, format } = options
  const config =
    privacyConfig === undefined
      ? parseConfig(
          privacyConfigSchema,
          "The switches",
          JSON.stringify({ epsilon, delta, noise_multiplier: noiseMultiplier, calibrate }),
        )
      : await readConfig(privacyConfigSchema, privacyConfig)
  const { rounds, steps, sampleRate, facilities, parameters } = options
  const given = Object.fromEntries(
    Object.entries({ rounds, steps, sampleRate, facilities, parameters }).filter(
      ([, value]) => value !== undefined,
    ),
  )
  show(switchesToPlan({ ...DEFAULT_SWITCHES, ...given }, privacyTerms(config)), format)
}

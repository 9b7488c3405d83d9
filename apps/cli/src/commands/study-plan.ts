import { ConsiliumError } from "@consilium/base/errors"
import { planStudy } from "@consilium/federation/plan-study"
import { presetSchema } from "@consilium/node/api/preset-schemas"
import type { PrivacyKind } from "@consilium/node/api/schemas"
import { privacyConfigSchema, privacyTerms } from "@consilium/node/config/privacy-config"
import { readConfig } from "@consilium/node/config/yaml-file"
import {
  type PlannedStudy,
  presetToPlan,
  studyFileToPlan,
  studyFolderToPlan,
} from "@consilium/node/plan/planned-study"
import { deadlineWarnings, estimateTime } from "@consilium/node/plan/time-estimate"
import { type Format, print } from "./printed.js"
import { callLeader, type Leader } from "./study-api.js"
import { allStudies, viewOf } from "./study-named.js"
import { planText, type ShownPlan } from "./study-plan-text.js"

interface Planning extends Partial<Leader> {
  readonly file?: string
  readonly config?: string
  readonly privacy?: PrivacyKind
  /** A privacy_config.yaml, in the place of what the study says itself. */
  readonly privacyConfig?: string
  /** Whether computing is measured. */
  readonly time: boolean
  readonly format: Format
}

/** Plans a study without any data; nothing is started or written. */
export const studyPlan = async (options: Planning): Promise<void> => {
  const planned = await plannedOf(options)
  const { setting, facilities, noise, notes } = planned
  const plan = planStudy(setting, facilities, noise)
  const time = options.time ? await estimateTime(setting, plan.rounds.ceremonies) : null
  const warnings = [...notes, ...plan.warnings, ...deadlineWarnings(setting.study, time)]
  const shown: ShownPlan = { ...plan, warnings, time, startable: plan.problems.length === 0 }
  print(options.format, shown, planText(shown, options.time))
  const [problem] = plan.problems
  if (problem !== undefined)
    throw new ConsiliumError(problem.code, problem.message, { remedy: problem.remedy })
}

export const plannedOf = async ({
  file,
  config,
  privacy,
  privacyConfig,
  ...rest
}: Omit<Planning, "time" | "format">): Promise<PlannedStudy> => {
  const configured = privacyConfig === undefined ? null : await readConfig(privacyConfigSchema, privacyConfig)
  const terms = configured && privacyTerms(configured)
  if (config !== undefined) return studyFolderToPlan(config, terms)
  const { leader } = rest
  if (file !== undefined)
    return studyFileToPlan(file, leader === undefined ? null : await present({ ...rest, leader }), terms)
  if (leader !== undefined && configured !== null) {
    // the leader's first study stands behind every preset; its noise and protection are replaced
    const preset = await callLeader(
      { ...rest, leader },
      { method: "GET", path: "/v1/presets/mpc" },
      presetSchema,
    )
    return presetToPlan(preset, configured)
  }
  if (leader === undefined || privacy === undefined)
    throw new ConsiliumError("cli/usage", "A preset is planned after the first study of a leader.", {
      remedy: "Give --leader as well.",
    })
  const path = `/v1/presets/${privacy}`
  return presetToPlan(await callLeader({ ...rest, leader }, { method: "GET", path }, presetSchema))
}

/** Who takes part in the newest study of a leader now. */
const present = async (leader: Leader): Promise<NonNullable<Parameters<typeof studyFileToPlan>[1]>> => {
  const newest = (await allStudies(leader)).studies.at(-1)
  if (newest === undefined)
    throw new ConsiliumError("admin/no-such-study", "The leader has no study yet, so nobody is present.")
  const { participants } = await viewOf(leader, newest.id)
  return participants.flatMap(({ name, role, parent, leftAfterRound }) =>
    role === "authority" || leftAfterRound !== null ? [] : [{ name, role, parent }],
  )
}

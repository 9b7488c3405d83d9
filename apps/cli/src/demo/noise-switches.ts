import { ConsiliumError } from "@consilium/base/errors"
import type { NoiseChoice } from "@consilium/federation/plan-privacy"
import type { Protection, Study } from "@consilium/federation/study"
import type { PrivacyTerms } from "@consilium/node/config/privacy-config"
import { noiseChoice } from "@consilium/node/config/study-privacy"
import type { DemoPlan } from "./layout.js"

/** Noise of a demo that is not to be calibrated and names none: with epsilon 1 it has room for some of ten rounds. */
const UNCALIBRATED_NOISE = 4

interface Switches {
  readonly calibrate?: string | boolean
  readonly noiseMultiplier?: number
  readonly protection: Protection
  readonly epsilon: number | null
  readonly delta: number
}

/** What the switches say of noise beside its budget; null where they say nothing. @throws {ConsiliumError} "cli/usage" */
export const noiseTerms = (switches: Switches): PrivacyTerms | null => {
  const { calibrate: given, noiseMultiplier: floor, protection, epsilon, delta } = switches
  if (given === undefined && floor === undefined) return null
  if (epsilon === null)
    throw new ConsiliumError("cli/usage", "There is no noise to be set where differential privacy is off.", {
      remedy: "Name a budget, such as --privacy 1, or leave --noise-multiplier and --calibrate out.",
    })
  const calibrate = given !== false && given !== "false"
  const noise_multiplier = floor ?? (calibrate ? null : UNCALIBRATED_NOISE)
  const privacy = { epsilon, delta, noise_multiplier, calibrate, max_grad_norm: 1 }
  return { privacy, protection, ring: null, notes: [] }
}

/** Where the noise of a demo's study comes from, with its size. */
export const noiseOf = (
  { terms }: DemoPlan,
  study: Study,
): (NoiseChoice & { readonly noiseMultiplier: number }) | null => {
  if (study.privacy === null) return null
  const { noise_multiplier: floor = null, calibrate = true } = terms?.privacy ?? {}
  const choice = noiseChoice(study, floor, calibrate)
  return choice && { ...choice, noiseMultiplier: study.privacy.noiseMultiplier }
}

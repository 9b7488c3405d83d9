import { encodeStudy, type Study } from "@consilium/federation/study"
import { z } from "zod"
import { privacyKinds } from "./schemas.js"

export const presetParams = z.strictObject({ kind: z.enum(privacyKinds) })

const figure = z.number().nullable()

/** The study that a kind of privacy would start now, and among whom. */
export const presetSchema = z.strictObject({
  name: z.string(),
  /** In the form that the authority would sign, in base64. The nonce is another one each time. */
  study: z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/),
  participants: z.array(
    z.strictObject({
      name: z.string(),
      role: z.enum(["leader", "fog", "facility"]),
      parent: z.string().nullable(),
    }),
  ),
  /** Where its noise comes from; null without differential privacy. */
  noise: z
    .strictObject({
      from: z.enum(["calibrated", "floor", "given"]),
      floor: figure,
      calibrated: figure,
    })
    .nullable(),
})
export type Preset = z.output<typeof presetSchema>

/** Presets name no floor: all of their noise is what the budget needs. */
export const presetAnswer = (study: Study, participants: Preset["participants"]): Preset => ({
  name: study.name,
  study: Buffer.from(encodeStudy(study)).toString("base64"),
  participants,
  noise: study.privacy && { from: "calibrated", floor: null, calibrated: study.privacy.noiseMultiplier },
})

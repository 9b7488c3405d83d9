import type { z } from "zod"
import { privacyConfigSchema } from "./privacy-config.js"
import { authorityFileSchema, facilityFileSchema, fogFileSchema, leaderFileSchema } from "./role-files.js"
import { studyFileSchema } from "./study-file.js"

/** Configuration files by what they configure. */
export const CONFIG_SCHEMAS = {
  study: studyFileSchema,
  privacy_config: privacyConfigSchema,
  facility: facilityFileSchema,
  fog: fogFileSchema,
  leader: leaderFileSchema,
  authority: authorityFileSchema,
} as const satisfies Readonly<Record<string, z.ZodType>>
export type ConfigKind = keyof typeof CONFIG_SCHEMAS
export const CONFIG_KINDS = Object.keys(CONFIG_SCHEMAS) as readonly ConfigKind[]

import { dirname, resolve } from "node:path"
import { type Budget, DEFAULT_POLICY, type LocalPolicy } from "@consilium/federation/policy"
import { PROTECTIONS } from "@consilium/federation/study"
import { MODEL_KINDS } from "@consilium/federation/study-model"
import { stringify } from "yaml"
import { z } from "zod"
import { apiFileSchema } from "../api/ports.js"
import { inferenceFileSchema } from "../inference/inference-file.js"
import type { StorageKeySource } from "../store/storage-key.js"

const dataFolder = z.string().min(1).default("../data")

/** Where the key that seals the data folder comes from: not from the folder itself. Paths are relative to this file. */
const storageKey = z
  .union([
    z.strictObject({ file: z.string().min(1) }),
    z.strictObject({ passphrase_file: z.string().min(1) }),
    z.strictObject({ systemd_credential: z.string().min(1) }),
  ])
  .default({ file: "storage.key" })

export const storageKeyOf = (
  configured: z.output<typeof storageKey>,
  configPath: string,
): StorageKeySource => {
  const path = (file: string): string => resolve(dirname(resolve(configPath)), file)
  if ("file" in configured) return { kind: "file", path: path(configured.file) }
  if ("passphrase_file" in configured)
    return { kind: "passphrase-file", path: path(configured.passphrase_file) }
  return { kind: "systemd-credential", name: configured.systemd_credential }
}

/** `authority.yaml` */
export const authorityFileSchema = z.strictObject({
  name: z.string().default("authority"),
  study: z.string().min(1),
  listen: z.strictObject({ host: z.string().min(1), port: z.int().min(0).max(65_535) }),
  /** Days that a participant's certificate is good for. */
  certificate_days: z.int().min(1).max(3650).default(365),
  data_folder: z.string().min(1).default("data"),
  storage_key: storageKey,
})

const listen = z
  .strictObject({
    hosts: z.array(z.string().min(1)).min(1).default(["127.0.0.1", "::1"]),
    ports: z.array(z.int().min(0).max(65_535)).min(1).default([0]),
  })
  .prefault({})

/** `fog.yaml`: where the fog listens. Port 0 takes a free one. */
export const fogFileSchema = z.strictObject({ listen, data_folder: dataFolder, storage_key: storageKey })

/** `leader.yaml` */
export const leaderFileSchema = z.strictObject({
  listen,
  api: apiFileSchema,
  inference: inferenceFileSchema,
  /** `pglite` is an embedded PostgreSQL in the data folder, `segments` plain files; DATABASE_URL overrides both. */
  store: z.enum(["pglite", "segments"]).default("pglite"),
  data_folder: dataFolder,
  storage_key: storageKey,
})

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const
const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/)
const minutesOf = (text: string): number => {
  const [hours, minutes] = text.split(":").map(Number) as [number, number]
  return 60 * hours + minutes
}

const budget = ({ epsilon, delta }: Budget) =>
  z
    .strictObject({
      epsilon: z.number().positive().default(epsilon),
      delta: z.number().positive().lt(1).default(delta),
    })
    .prefault({})

const policySchema = z
  .strictObject({
    smallest_cohort: z.int().min(3).default(DEFAULT_POLICY.smallestCohort),
    colluders: z.int().min(0).default(DEFAULT_POLICY.colluders),
    protections: z.array(z.enum(PROTECTIONS)).default([...DEFAULT_POLICY.protections]),
    model_kinds: z.array(z.enum(MODEL_KINDS)).default([...DEFAULT_POLICY.modelKinds]),
    largest_model: z.int().min(1).default(DEFAULT_POLICY.largestModel),
    metrics: z.enum(["exact", "none"]).default(DEFAULT_POLICY.metrics),
    /** Parts in statistics and evaluations that are opened as sums over all facilities: sums, or none. */
    figures: z.enum(["sums", "none"]).default(DEFAULT_POLICY.figures),
    insecure_seed: z.boolean().default(DEFAULT_POLICY.insecureSeed),
    /** Columns that may be trained on; null for all. */
    columns: z.array(z.string().min(1).max(64)).nullable().default(null),
    /** When rounds may begin, local time. */
    working_hours: z
      .strictObject({
        days: z.array(z.enum(DAYS)).min(1).default(["mon", "tue", "wed", "thu", "fri"]),
        from: clock,
        to: clock,
        utc_offset: z.string().regex(/^[+-](0\d|1[0-4]):[0-5]\d$/),
      })
      .nullable()
      .default(null),
    /** `ask`: a person here allows each study before its first training. */
    approval: z.enum(["ask", "auto"]).default(DEFAULT_POLICY.approval),
    /** Most that studies with differential privacy may spend of patients' privacy here: one study, one month (UTC). */
    privacy: z
      .strictObject({
        study: budget(DEFAULT_POLICY.privacy.study),
        month: budget(DEFAULT_POLICY.privacy.month),
        /** Over all months; null for no cap: then it is only shown. */
        lifetime: z
          .strictObject({ epsilon: z.number().positive(), delta: z.number().positive().lt(1) })
          .nullable()
          .default(null),
      })
      .prefault({}),
  })
  .prefault({})

const classes = z.tuple([z.string().min(1).max(64), z.string().min(1).max(64)])

/** `facility.yaml`: this facility's records and its own rules, which no leader can override. */
export const facilityFileSchema = z.strictObject({
  records: z.discriminatedUnion("format", [
    z.strictObject({
      format: z.literal("uci-heart"),
      centre: z.enum(["cleveland", "hungarian", "switzerland", "va"]),
      file: z.string().min(1),
    }),
    z.strictObject({
      format: z.literal("heart-csv"),
      file: z.string().min(1),
      /** Told rather than judged from all rows, which a study with differential privacy needs. */
      coding: z.enum(["auto", "uci", "alphabetical", "shifted"]).default("auto"),
      target: z.enum(["auto", "disease", "healthy"]).default("auto"),
    }),
    z.strictObject({
      format: z.literal("table"),
      /** `cardiovascular`, or the path of a schema file. */
      schema: z.string().min(1),
      /** Comma-separated text with a header, or Parquet. */
      file: z.string().min(1),
      /** The path of a mapping file; null if the file already names and codes everything as the schema does. */
      mapping: z.string().min(1).nullable().default(null),
    }),
    z.strictObject({
      /** Images of one size in an IDX file, their labels in another; each image is another patient's. */
      format: z.literal("idx"),
      images: z.string().min(1),
      labels: z.string().min(1),
      /** Images that are only tested on; left out, a third of the patients. */
      hold_out: z
        .strictObject({ images: z.string().min(1), labels: z.string().min(1) })
        .nullable()
        .default(null),
      /** What label 0 and label 1 are called in the study. */
      classes,
    }),
    z.strictObject({
      /** PNG files in a folder for each class. */
      format: z.literal("png-folder"),
      folder: z.string().min(1),
      hold_out: z.string().min(1).nullable().default(null),
      classes,
      height: z.int().min(1).max(4096),
      width: z.int().min(1).max(4096),
      channels: z.union([z.literal(1), z.literal(3)]).default(1),
      /** Whether images of another size are resized; else they are refused. */
      resize: z.boolean().default(false),
      /** What of a file's name tells the patient: all before this text. Left out, each file is another patient's. */
      patient_until: z.string().min(1).nullable().default(null),
    }),
  ]),
  policy: policySchema,
  data_folder: dataFolder,
  storage_key: storageKey,
})
export type FacilityFile = z.output<typeof facilityFileSchema>
export type FacilityFileInput = z.input<typeof facilityFileSchema>

export const policyOf = ({ policy }: FacilityFile): LocalPolicy => ({
  smallestCohort: policy.smallest_cohort,
  colluders: policy.colluders,
  protections: policy.protections,
  modelKinds: policy.model_kinds,
  largestModel: policy.largest_model,
  metrics: policy.metrics,
  figures: policy.figures,
  insecureSeed: policy.insecure_seed,
  columns: policy.columns,
  workingHours: policy.working_hours && {
    days: policy.working_hours.days.map((day) => DAYS.indexOf(day)),
    from: minutesOf(policy.working_hours.from),
    to: minutesOf(policy.working_hours.to),
    utcOffset:
      (policy.working_hours.utc_offset.startsWith("-") ? -1 : 1) *
      minutesOf(policy.working_hours.utc_offset.slice(1)),
  },
  approval: policy.approval,
  privacy: policy.privacy,
})

/** Texts of configuration files name every key, with its default where nothing else was said. */
export const facilityFileText = (file: FacilityFileInput): string =>
  `# This facility's records and its own rules: the leader cannot override them.
# metrics: exact sends accuracy and the like on held-out patients; none sends nothing. figures: sums takes part in statistics and
# evaluations of all facilities together, in which nobody sees a facility's own part; none does not. largest_model is in parameters.
# privacy caps what studies with differential privacy may spend, one study and all studies of a calendar month (UTC):
# epsilon in nats, at a delta. lifetime: null only counts what all months have spent; { epsilon, delta } caps it too.
${stringify(facilityFileSchema.parse(file))}`

export const fogFileText = (file: z.input<typeof fogFileSchema>): string =>
  `# Where this role listens: the first host that exists, the first port that is free; port 0 takes any.
${stringify(fogFileSchema.parse(file))}`

export const leaderFileText = (file: z.input<typeof leaderFileSchema>): string =>
  `# Where the leader listens for those below it, and where its API and page are on this machine: the first host that exists, the
# first port that is free; port 0 takes any. store: pglite is a database in the data folder, segments plain files.
${stringify(leaderFileSchema.parse(file))}`

export const authorityFileText = (file: z.input<typeof authorityFileSchema>): string =>
  `# The authority: certificates, enrolment, the signed roster.
${stringify(authorityFileSchema.parse(file))}`

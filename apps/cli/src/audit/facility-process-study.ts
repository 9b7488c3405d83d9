import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { type RandomSource, uniformBelow } from "@consilium/base/random"
import type { Study } from "@consilium/federation/study"
import {
  type FacilityFileInput,
  facilityFileSchema,
  facilityFileText,
  fogFileText,
  leaderFileText,
} from "@consilium/node/config/role-files"
import { type StudyFileInput, studyFileSchema, studyOf } from "@consilium/node/config/study-file"
import { schemaFileSchema } from "@consilium/node/config/table-files"
import { parseAddress } from "@consilium/node/identity/names"
import { initStudy } from "@consilium/node/init"
import { readRecords } from "@consilium/node/local-records"
import { LOOPBACK, reserveAddress } from "@consilium/node/transport/address"
import type { LabelledRows } from "@consilium/records/rows"
import { stringify } from "yaml"

/** Facilities of the study: one of many patients, one of so few that most of its batches are empty, and one beside them. */
export const MANY = "many-patients"
export const FEW = "few-patients"
export const THIRD = "third"
export const FOG = "reading-fog"
export const LEADER = "leader"

/** Features of one possible patient each, which the patient has if a coin says so. */
export const CANARIES = 254
/** Patients who are always there, and share one feature: their number decides how exactly batch sizes are seen. */
const CROWD = 473
const FEW_PATIENTS = 6
export const ROUNDS = 60
/** Patients' sum moves by as much as 1 / NOISE of the noise's deviation, so inclusion is seen in the sum of many only. */
const NOISE_MULTIPLIER = 2.5
export const SAMPLE_RATE = 0.1
const DELTA = 1e-7
/** Every patient's gradient, of norm 0.7, is clipped to this. On a grid of 256 values it is 1600 steps of 2^-12. */
export const CLIP = 1600 / 4096
const FRACTION_BITS = 14
/** As large as integers allow: no update of this study comes near it, so the integers are the noisy sums, scaled. */
export const UPDATE_NORM = 1.9999
/**
 * A step of the facility with few patients has a quarter of a grid step as its unit, so its updates have a norm of 16,000
 * units, half of what they may have; those of the other are smaller by the ratio of the numbers of patients.
 */
const LEARNING_RATE = (0.25 * SAMPLE_RATE * FEW_PATIENTS * 2 ** -FRACTION_BITS) / 2 ** -12
/** The common model hardly moves: every patient's gradient is what it was at the start. */
const SERVER_RATE = 1e-4
/** Seconds: a round takes a tenth of one; the attempt that is made void on purpose takes all of it. */
const DEADLINES = { collect: 4, answer: 10 }

const canary = (at: number): string => `canary-${at + 1}`
const SHARED = "crowd"
export const FEATURES: readonly string[] = [
  ...Array.from({ length: CANARIES }, (_, at) => canary(at)),
  SHARED,
]
export const CROWD_COLUMN = CANARIES

/** A patient with one feature other than 0. */
export interface Planted {
  readonly column: number
  readonly value: number
}

const schemaText = stringify(
  schemaFileSchema.parse({
    name: "audit",
    target: { column: "outcome" },
    columns: [
      ...FEATURES.map((name) => ({
        type: "number",
        name,
        description: "A feature of an audit's made-up patients.",
        unit: "1",
        range: [0, 4],
      })),
      { type: "boolean", name: "outcome", description: "Always yes.", yes: "yes", no: "no" },
    ],
  }),
)

const csvOf = (patients: readonly Planted[]): string =>
  [
    [...FEATURES, "outcome"].join(","),
    ...patients.map(({ column, value }) =>
      [...FEATURES.map((_, at) => (at === column ? String(value) : "0")), "1"].join(","),
    ),
    "",
  ].join("\n")

const nameOf = ({ column, value }: Planted): string => `${column}/${value}`

const plantedIn = ({ rows, features }: LabelledRows): ReadonlySet<string> => {
  const width = FEATURES.length
  return new Set(
    Array.from({ length: rows }, (_, row) => {
      const own = features.subarray(row * width, (row + 1) * width)
      const column = own.findIndex((value) => value !== 0)
      return nameOf({ column, value: own[column] as number })
    }),
  )
}

/** No two patients of a column have one value: which of them are held out follows from their values alone. */
const VARIANT = 1 / 65_536

/** Writes a facility's table so that none of its patients is held out: who is depends on nobody else. */
const plant = async (
  folder: string,
  facility: string,
  columns: readonly number[],
): Promise<readonly Planted[]> => {
  const local = join(folder, facility, "local")
  const write = (name: string, text: string): Promise<void> =>
    writeFile(join(local, name), text, { mode: 0o600 })
  await mkdir(local, { recursive: true, mode: 0o700 })
  await write("schema.yaml", schemaText)
  const file = facilityFileSchema.parse(FACILITY_FILE)
  const settled: Planted[] = []
  let used = 0
  for (let left = columns; left.length > 0; ) {
    const tried = left.map((column) =>
      [used++, used++].map((variant): Planted => ({ column, value: 1 + variant * VARIANT })),
    )
    await write("records.csv", csvOf(tried.flat()))
    const { independent } = await readRecords(facility, join(local, "facility.yaml"), file)
    const training = plantedIn(independent.train)
    const found = tried.map((pair) => pair.find((one) => training.has(nameOf(one))))
    settled.push(...found.filter((one) => one !== undefined))
    left = left.filter((_, at) => found[at] === undefined)
  }
  await write("records.csv", csvOf(settled))
  return settled
}

const FACILITY_FILE: FacilityFileInput = {
  records: { format: "table", schema: "schema.yaml", file: "records.csv" },
  policy: {
    protections: ["plain"],
    privacy: { study: { epsilon: 100, delta: DELTA }, month: { epsilon: 100, delta: DELTA } },
  },
}

const studyFile = (nonce: Uint8Array): StudyFileInput => ({
  name: "audit",
  nonce: toHex(nonce),
  model: { kind: "logistic-regression", features: [...FEATURES] },
  training: { learning_rate: LEARNING_RATE, steps: 1 },
  server: { strategy: "fedavg", learning_rate: SERVER_RATE },
  quantisation: { clip_norm: UPDATE_NORM, fraction_bits: FRACTION_BITS, weights: "equal" },
  rounds: ROUNDS,
  attempts: 100,
  protection: "plain",
  validation: "off",
  deadlines: DEADLINES,
  privacy: {
    epsilon: 100,
    delta: DELTA,
    noise_multiplier: NOISE_MULTIPLIER,
    calibrate: false,
    max_grad_norm: CLIP,
    sample_rate: SAMPLE_RATE,
    standardise: FEATURES.map((feature) => ({ feature, mean: 0, deviation: 1 })),
  },
  synthetic_data: true,
  participants: [
    { name: LEADER, role: "leader" },
    { name: FOG, role: "fog", parent: LEADER },
    ...[MANY, FEW, THIRD].map((name) => ({ name, role: "facility" as const, parent: FOG })),
  ],
})

export interface AuditStudy {
  readonly study: Study
  /** Configuration file of each participant, by name. */
  readonly configs: ReadonlyMap<string, string>
  readonly patients: ReadonlyMap<string, readonly Planted[]>
  /** Which canaries are in the table of the facility with many patients: a fair coin each. */
  readonly included: readonly boolean[]
}

/** Grid units to which one step's noisy sum is scaled in a facility's update: integers = scale x noisy sum. */
export const scaleOf = (study: Study, patients: number, gridStep: number): number =>
  (study.training.learningRate * gridStep * 2 ** study.quantisation.fractionBits) / (SAMPLE_RATE * patients)

const anyPort = async (): Promise<{ readonly host: string; readonly port: number }> => {
  const reserved = await reserveAddress(LOOPBACK, [0])
  await reserved.close()
  return parseAddress(reserved.address)
}

/** Lays out the audit's study in a folder, with the auditor as the owner of every part of it. */
export const layOutAudit = async (folder: string, random: RandomSource): Promise<AuditStudy> => {
  const included = Array.from({ length: CANARIES }, () => uniformBelow(random, 2) === 1)
  const columns = Array.from({ length: CANARIES }, (_, at) => at)
  const few = columns.slice(0, FEW_PATIENTS)
  const free = { listen: { ports: [0] } }
  const local = new Map([
    [LEADER, leaderFileText({ ...free, store: "segments", api: { ...free, health: null } })],
    [FOG, fogFileText(free)],
    ...[MANY, FEW, THIRD].map((name) => [name, facilityFileText(FACILITY_FILE)] as const),
  ])
  const file = studyFile(random.bytes(32))
  const { configs, authorityFile } = await initStudy({
    folder,
    authority: await anyPort(),
    local,
    study: file,
  })
  const crowd = Array.from({ length: CROWD }, () => CROWD_COLUMN)
  const many = await plant(folder, MANY, [...columns.filter((at) => included[at]), ...crowd])
  return {
    study: studyOf(studyFileSchema.parse(file)),
    configs: new Map([...configs, ["authority", authorityFile]]),
    patients: new Map([
      [MANY, many],
      [FEW, await plant(folder, FEW, few)],
      [THIRD, await plant(folder, THIRD, few)],
    ]),
    included,
  }
}

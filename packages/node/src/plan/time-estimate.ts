import { cpus } from "node:os"
import { ConsiliumError } from "@consilium/base/errors"
import { SecretKey, systemRandom } from "@consilium/base/random"
import { startLocalState } from "@consilium/federation/local-state"
import { initialModel } from "@consilium/federation/model"
import type { PlannedSetting } from "@consilium/federation/plan"
import { DEFAULT_POLICY, type LocalPolicy } from "@consilium/federation/policy"
import { defaultCohort, defaultKeys, isKeyed, type Study, valueCount } from "@consilium/federation/study"
import { trainRound } from "@consilium/federation/training"
import { rowSize } from "@consilium/learning/network/description"
import type { LabelledRows } from "@consilium/records/rows"
import { type Place, runInProcess } from "../in-process/federation.js"
import type { RawRecords } from "../local-records.js"
import { nodeChecks } from "../roles/checks.js"

/** How long a study computes, as measured on this machine with made-up rows. Seconds. */
export interface TimeEstimate {
  readonly machine: string
  /** Rows that each facility was given, and how many facilities computed together. */
  readonly rows: number
  readonly measuredFacilities: number
  /** Local steps of one facility in one round. */
  readonly training: number
  /** A round: if facilities compute at the same time, and if all share one core of this machine. */
  readonly round: { readonly apart: number; readonly together: number }
  /** A key ceremony likewise; null where there is none. */
  readonly ceremony: { readonly apart: number; readonly together: number } | null
  readonly study: { readonly apart: number; readonly together: number }
  readonly includes: string
  readonly excludes: string
}

const ROWS = 200
const FEWEST = 3
const MOST = 6
/** Values of all shares that are held at one time: bounds what measuring takes of memory. */
const MOST_VALUES = 1 << 22
const TRAINING_MS = 250
const PATIENCE_MS = 60_000

/** Rows that nobody has: features between -1 and 1, each row another patient. */
const madeUpRows = ({ model }: Study, rows: number): LabelledRows => {
  const { features: names } = model
  const columns = model.kind === "network" ? rowSize(model.description.input) : names.length
  const draws = systemRandom.bytes(rows * (columns + 1))
  return {
    names,
    columns,
    rows,
    features: Float64Array.from({ length: rows * columns }, (_, i) => (draws[i] as number) / 127.5 - 1),
    labels: Uint8Array.from({ length: rows }, (_, i) => (draws[rows * columns + i] as number) & 1),
    patients: Uint32Array.from({ length: rows }, (_, i) => i),
  }
}

const recordsOf = (study: Study): RawRecords => {
  const sides = { train: madeUpRows(study, ROWS), holdOut: madeUpRows(study, ROWS / 4) }
  const { model } = study
  const plain: RawRecords = {
    ...sides,
    independent: sides,
    preparation: "declared",
    warnings: [],
    form: null,
  }
  if (model.kind !== "network" || model.images === null) return plain
  const [height, width = 1, channels = 1] = model.description.input
  return { ...plain, images: { height, width, channels, classes: model.images.classes } }
}

/** The same study for a moment: two rounds of one step, among few, with nothing that needs anybody's own tables. */
const rehearsed = (study: Study, facilities: number): Study => {
  const short: Study = {
    ...study,
    nonce: systemRandom.bytes(32),
    rounds: 2,
    attempts: 1,
    training: { ...study.training, steps: 1, fineTuneSteps: 0, ditto: null },
    cohort: defaultCohort(facilities),
    reporting: { subgroups: [] },
    deadlines: { collect: PATIENCE_MS, answer: PATIENCE_MS },
    privacy: study.privacy && { ...study.privacy, epsilon: 1e6 },
    data: null,
  }
  return { ...short, keys: defaultKeys(short, facilities) }
}

/** Allows whatever the study asks for: it is about nobody's patients. */
const permissive = (study: Study): LocalPolicy => ({
  ...DEFAULT_POLICY,
  protections: [study.protection],
  insecureSeed: true,
  largestModel: Number.MAX_SAFE_INTEGER,
  privacy: { study: { epsilon: 1e9, delta: 0.999 }, month: { epsilon: 1e9, delta: 0.999 } },
})

const placesOf = ({ directory }: PlannedSetting, facilities: number): readonly Place[] => {
  const parent = directory.fogs.length > 0 ? "fog" : "leader"
  return [
    { name: "leader", role: "leader", parent: null },
    ...(directory.fogs.length > 0 ? [{ name: "fog", role: "fog", parent: "leader" } as const] : []),
    ...Array.from(
      { length: facilities },
      (_, i): Place => ({ name: `facility-${i + 1}`, role: "facility", parent }),
    ),
  ]
}

/** Seconds of one local step: as many steps as fit a quarter of a second, or all of a round's. */
const secondsPerStep = (study: Study): number => {
  const parameters = initialModel(study)
  const { features: columns, ...rest } = madeUpRows(study, ROWS)
  const examples = { rows: rest.rows, columns: rest.columns, features: columns, labels: rest.labels }
  const spec = { round: 1, attempt: 1, model: new Uint8Array(32) }
  for (let steps = 1; ; steps = Math.min(4 * steps, study.training.steps)) {
    const privacy = study.privacy && {
      ...study.privacy,
      mostPatients: Math.max(study.privacy.mostPatients, ROWS),
    }
    const work = { ...study, privacy, training: { ...study.training, steps, ditto: null } }
    const secret = new SecretKey(systemRandom.bytes(32))
    const began = performance.now()
    trainRound({
      study: work,
      spec,
      parameters,
      examples,
      patients: rest.patients,
      local: startLocalState(),
      secret,
    })
    const took = performance.now() - began
    if (took > TRAINING_MS || steps === study.training.steps) return took / 1000 / steps
  }
}

/** Facilities that are measured: all of them, or so few that it stays short. */
const fewOf = (study: Study, facilities: number): number =>
  Math.max(
    FEWEST,
    Math.min(facilities, MOST, Math.floor(Math.sqrt(MOST_VALUES / Math.max(1, valueCount(study))))),
  )

const machineName = (): string =>
  `${cpus()[0]?.model.trim() ?? "unknown processor"}, Node.js ${process.versions.node}`

/**
 * Rehearses two rounds of a study in this process, with made-up rows and keys that are thrown away, and reckons from them
 * what all of it takes. Null if the rehearsal did not come to its end in a minute.
 */
export const estimateTime = async (
  setting: PlannedSetting,
  ceremonies: number,
  stop: AbortSignal = new AbortController().signal,
): Promise<TimeEstimate | null> => {
  const { study, directory } = setting
  const facilities = directory.facilities.length
  const few = fewOf(study, facilities)
  const short = rehearsed(study, few)
  const step = secondsPerStep(study)
  // steps of a personal model take as long as those of the common one
  const training = step * (study.training.steps + (study.training.ditto?.steps ?? 0))
  const records = recordsOf(study)
  const places = placesOf(setting, few)
  let rounds: readonly { readonly seconds: number }[]
  let ceremony: number | null = null
  try {
    const began: number[] = []
    const run = await runInProcess({
      study: short,
      places,
      facilities: new Map(
        places.flatMap(({ name, role }) =>
          role === "facility" ? [[name, { records, policy: permissive(short) }] as const] : [],
        ),
      ),
      narrate: () => undefined,
      stop: AbortSignal.any([stop, AbortSignal.timeout(PATIENCE_MS)]),
      checks: nodeChecks,
    })
    rounds = run.outcome.rounds
    for await (const { header } of run.log.entries()) if (header.type === "announce") began.push(header.at)
    // the first announcement is that of the ceremony, the second that of the first round
    if (isKeyed(study)) ceremony = ((began[1] as number) - (began[0] as number)) / 1000
  } catch (error) {
    if (!(error instanceof ConsiliumError)) throw error
    return null
  }
  const last = rounds[1]?.seconds
  if (last === undefined) return null
  // every facility deals with every other: what all of them do grows with the square of their number
  const growth = facilities / few
  const both = (together: number) => ({
    apart: (together * growth) / few,
    together: together * growth * growth,
  })
  const rest = both(last)
  const round = { apart: training + rest.apart, together: facilities * training + rest.together }
  const keys = ceremony === null ? null : both(ceremony)
  const times = (kind: "apart" | "together"): number =>
    study.rounds * round[kind] + ceremonies * (keys?.[kind] ?? 0)
  return {
    machine: machineName(),
    rows: ROWS,
    measuredFacilities: few,
    training,
    round,
    ceremony: keys,
    study: { apart: times("apart"), together: times("together") },
    includes: `local steps on ${ROWS} made-up rows a facility, protecting, adding, checking and opening updates, signatures, and the model's figures`,
    excludes:
      "the network, disks, reading records, people who must allow the study, and facilities that are slow or away",
  }
}

/** What a deadline leaves too little time for, by what was measured. */
export const deadlineWarnings = (
  { deadlines }: Pick<Study, "deadlines">,
  time: TimeEstimate | null,
): readonly string[] =>
  time === null || 2 * time.training < deadlines.collect / 1000
    ? []
    : [
        `Local training took ${time.training.toFixed(1)} s here; the study gives facilities ${deadlines.collect / 1000} s for training and sending. Raise deadlines.collect.`,
      ]

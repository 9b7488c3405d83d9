import { toHex } from "@consilium/base/bytes"
import type { SecretKey } from "@consilium/base/random"
import { startLocalState } from "@consilium/federation/local-state"
import { type RoundSpec, specDigest } from "@consilium/federation/messages"
import { initialModel } from "@consilium/federation/model"
import { clipToNorm, roundToGrid } from "@consilium/federation/quantise"
import type { Study } from "@consilium/federation/study"
import { architectureOf, roundStream, trainRound } from "@consilium/federation/training"
import { decodeModel } from "@consilium/learning/model-file"
import { trainLocally } from "@consilium/learning/train"
import { facilityFileSchema } from "@consilium/node/config/role-files"
import { prepare, readRecords } from "@consilium/node/local-records"
import type { LocalRecords } from "@consilium/node/roles/facility-machine"
import { seededRoundSecret } from "@consilium/node/roles/round-secrets"
import { FieldVector } from "@consilium/sharing/field"
import { deal } from "@consilium/sharing/verified"
import type { Secret } from "./needles.js"
import type { StudyRun } from "./study-run.js"

/** A facility's update of one round, in each form that would tell it. */
export interface KnownUpdate {
  readonly facility: string
  readonly round: number
  readonly secrets: readonly Secret[]
  /** What each recipient is dealt of it under `shamir`: any t of them tell the update. */
  readonly shares: readonly Secret[]
}

/** A round's base model: what a round is announced with. */
export interface Base {
  readonly spec: RoundSpec
  readonly model: Uint8Array
}

export const recordsOf = async (run: StudyRun, facility: string): Promise<LocalRecords> => {
  const { configPath, file } = run.layout.facilities.get(facility) as NonNullable<
    ReturnType<StudyRun["layout"]["facilities"]["get"]>
  >
  return prepare(await readRecords(facility, configPath, facilityFileSchema.parse(file)), run.study)
}

/** The shares that a facility deals, by recipient, before they are sealed. */
const sharesOf = (
  study: Study,
  spec: RoundSpec,
  secret: SecretKey,
  values: Int32Array,
  recipients: number,
): readonly bigint[][] => {
  const { shares } = deal(FieldVector.fromIntegers(values), {
    threshold: study.cohort.threshold,
    points: Array.from({ length: recipients }, (_, i) => i + 1),
    random: roundStream(study, spec, secret, `dealing/shamir/${toHex(specDigest(spec))}`),
  })
  return shares.map((share) => {
    const bytes = share.encode()
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    return Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(8 * i))
  })
}

/** The secret of a facility's round, which in a seeded study everybody knows. */
export type SecretOf = (facility: string, round: number) => SecretKey

export const seededSecrets = ({ name, insecureSeed }: Study): SecretOf => {
  if (insecureSeed === null) throw new Error("Only a seeded study's secrets are known.")
  return (facility, round) => seededRoundSecret(name, insecureSeed, facility, round)
}

/**
 * What a facility computes in the rounds of a study, by the same pure functions that its process runs, and from the
 * announced models: the model it trained, its difference, that clipped, rounded, and weighted as it travels.
 */
export const knownUpdates = (
  study: Study,
  facility: string,
  records: LocalRecords,
  rounds: readonly Base[],
  recipients: number,
  secretOf: SecretOf = seededSecrets(study),
): readonly KnownUpdate[] => {
  let state = startLocalState()
  const out: KnownUpdate[] = []
  for (const { spec, model } of rounds) {
    const secret = secretOf(facility, spec.round)
    const parameters = spec.round === 1 ? initialModel(study) : decodeModel(model).parameters
    const trained = trainRound({ study, spec, parameters, examples: records.train, local: state, secret })
    const local = trainLocally({
      architecture: architectureOf(study),
      parameters,
      examples: records.train,
      steps: study.training.steps,
      batchSize: study.training.batchSize,
      learningRate: study.training.learningRate,
      cursor: state.cursor,
      random: roundStream(study, spec, secret, "batches"),
    }).parameters
    const { clipNorm, fractionBits } = study.quantisation
    const difference = local.map((value, i) => value - (parameters[i] as number))
    const clipped = clipToNorm(difference, clipNorm)
    const rounded = roundToGrid(clipped, clipNorm, fractionBits, roundStream(study, spec, secret, "rounding"))
    const name = (what: string): string => `round ${spec.round}, ${facility}: ${what}`
    out.push({
      facility,
      round: spec.round,
      secrets: [
        { name: name("trained model"), values: [...local] },
        { name: name("update"), values: [...difference] },
        { name: name("clipped update"), values: [...clipped] },
        { name: name("rounded update"), values: [...rounded] },
        { name: name("dequantised update"), values: [...rounded].map((value) => value * 2 ** -fractionBits) },
        { name: name("weighted integers"), values: [...trained.values] },
      ],
      shares:
        study.protection === "shamir"
          ? sharesOf(study, spec, secret, trained.values, recipients).map((values, point) => ({
              name: name(`share of recipient ${point + 1}`),
              values,
            }))
          : [],
    })
    state = trained.local
  }
  return out
}

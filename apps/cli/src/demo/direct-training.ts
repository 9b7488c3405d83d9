import type { SecretKey } from "@consilium/base/random"
import { serverOptimiserOf } from "@consilium/federation/leader-state"
import {
  afterCharged,
  afterCounted,
  type LocalState,
  startLocalState,
} from "@consilium/federation/local-state"
import { initialModel, modelHashOf, moveModel } from "@consilium/federation/model"
import { meanUpdate } from "@consilium/federation/opened-sum"
import { baseHash, moveControl, startControl } from "@consilium/federation/round-base"
import { type Study, valueCount } from "@consilium/federation/study"
import { measure, personalModel, trainRound } from "@consilium/federation/training"
import type { Examples } from "@consilium/learning/data"
import { startServer } from "@consilium/learning/server-optimiser"
import { type Row, rowOf } from "./baselines.js"

/** A facility's rows, prepared as its own process would prepare them. */
export interface DirectFacility {
  readonly name: string
  readonly train: Examples
  readonly holdOut: Examples
  /** Whose each training row is; a study with differential privacy needs it. */
  readonly patients?: ArrayLike<number>
}

export interface DirectResult {
  readonly parameters: Float64Array
  /** The hash that the study's last round is closed with. */
  readonly hash: Uint8Array
  readonly metrics: Row
  /** The figures of what each facility has for itself at the end; null in a study without. */
  readonly personal: Row | null
}

/**
 * What a study leads to, computed in one go from rows that all lie in this process: no messages, no protection, nobody
 * apart. Every strategy, with the same integers, sums and models as a study among facilities that are all there in every
 * round and have the same secrets.
 */
export const trainDirectly = (
  study: Study,
  facilities: readonly DirectFacility[],
  secretOf: (facility: string, round: number) => SecretKey,
): DirectResult => {
  const states = new Map<string, LocalState>(facilities.map(({ name }) => [name, startLocalState()]))
  const stateOf = (name: string): LocalState => states.get(name) as LocalState
  let parameters = initialModel(study)
  let server = startServer(serverOptimiserOf(study), parameters.length)
  let control = startControl(study)
  for (let round = 1; round <= study.rounds; round++) {
    const spec = { round, attempt: 1, model: baseHash(study, { parameters, control }) }
    const sum = new Float64Array(valueCount(study))
    for (const { name, train, patients = [] } of facilities) {
      const { values, local } = trainRound({
        study,
        spec,
        parameters,
        common: control,
        examples: train,
        patients,
        local: stateOf(name),
        secret: secretOf(name, round),
      })
      states.set(name, afterCounted(afterCharged(local, spec.model), spec.model))
      for (const [i, value] of values.entries()) sum[i] = (sum[i] as number) + value
    }
    const mean = meanUpdate(study, sum, facilities.length)
    const moved = moveModel(study, server, parameters, mean)
    control = moveControl(study, control, mean, facilities.length, facilities.length)
    parameters = moved.parameters
    server = moved.state
  }
  const hash = modelHashOf(study, parameters)
  const own = facilities.flatMap(({ name, train, holdOut }) => {
    const found = personalModel({
      study,
      spec: { round: study.rounds + 1, attempt: 1, model: hash },
      parameters,
      examples: train,
      local: stateOf(name),
      secret: secretOf(name, study.rounds + 1),
    })
    return found === null ? [] : [{ name, ...measure(study, found, holdOut) }]
  })
  return {
    parameters,
    hash,
    metrics: rowOf(facilities.map(({ name, holdOut }) => ({ name, ...measure(study, parameters, holdOut) }))),
    personal: own.length === 0 ? null : rowOf(own),
  }
}

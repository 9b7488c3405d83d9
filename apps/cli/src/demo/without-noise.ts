import { serverOptimiserOf } from "@consilium/federation/leader-state"
import { type LocalState, startLocalState } from "@consilium/federation/local-state"
import { initialModel, modelHashOf } from "@consilium/federation/model"
import { meanOfSum } from "@consilium/federation/quantise"
import { type Study, valueCount } from "@consilium/federation/study"
import { measure, trainRound } from "@consilium/federation/training"
import { applyUpdate, startServer } from "@consilium/learning/server-optimiser"
import { prepare, type RawRecords } from "@consilium/node/local-records"
import { seededRoundSecret } from "@consilium/node/roles/round-secrets"
import { type Row, rowOf } from "./baselines.js"

/**
 * What a study without noise reaches on the same patients, trained in this process from the rows that the demo has at
 * hand: the same integers, sums and models as a study among facilities gives.
 */
export const withoutNoise = (study: Study, records: ReadonlyMap<string, RawRecords>, seed: number): Row => {
  const { weights, largestWeight, fractionBits } = study.quantisation
  const facilities = [...records].map(([name, raw]) => ({ name, ...prepare(raw, study) }))
  const states = new Map<string, LocalState>()
  let parameters = initialModel(study)
  let server = startServer(serverOptimiserOf(study), parameters.length)
  for (let round = 1; round <= study.rounds; round++) {
    const spec = { round, attempt: 1, model: modelHashOf(study, parameters) }
    const sum = new Float64Array(valueCount(study))
    for (const { name, train } of facilities) {
      const local = states.get(name) ?? startLocalState()
      const secret = seededRoundSecret(study.name, seed, name, round)
      const trained = trainRound({ study, spec, parameters, examples: train, local, secret })
      states.set(name, trained.local)
      for (const [i, value] of trained.values.entries()) sum[i] = (sum[i] as number) + value
    }
    const mean = meanOfSum(sum, weights, facilities.length, largestWeight, fractionBits)
    const applied = applyUpdate(serverOptimiserOf(study), server, parameters, mean)
    parameters = applied.parameters
    server = applied.state
  }
  return rowOf(facilities.map(({ name, holdOut }) => ({ name, ...measure(study, parameters, holdOut) })))
}

import type { RandomSource } from "@consilium/base/random"
import type { Evaluations, Prepared } from "@consilium/lattice/ring/ring"
import { TailDivision } from "@consilium/lattice/rlwe/division"
import type { IntegerLinear } from "../model/integer-model.js"
import { logitPlace, weightPlace } from "../plan/places.js"
import type { MaskingKey } from "../wire/asking-key.js"
import type { PreparedPlan } from "../wire/prepared-plan.js"
import type { SeededCiphertext } from "../wire/request.js"
import { drowned } from "./drowning.js"
import { encryptedZero } from "./encrypted-zero.js"

/** Two polynomials of a ciphertext. */
export type Pair = readonly [Evaluations, Evaluations]

/** A linear model, evaluated by one product of polynomials. */
export class LinearEvaluation {
  readonly #prepared: PreparedPlan
  readonly #weights: Prepared
  readonly #bias: Evaluations
  readonly #division: TailDivision | null

  constructor(prepared: PreparedPlan, model: IntegerLinear) {
    const { plan, parameters } = prepared
    const { ring, degree } = parameters
    const columns = plan.schema.columns.length
    const small = new Int32Array(degree)
    model.weights.forEach((weight, j) => {
      small[weightPlace(j, columns)] = weight
    })
    const biases = Array.from({ length: degree }, () => 0n)
    for (let p = 0; p < plan.patients; p++) biases[logitPlace(p, columns)] = model.bias
    this.#prepared = prepared
    this.#weights = ring.prepare(ring.forward(ring.fromSmall(small)))
    this.#bias = ring.forward(ring.fromBigInts(biases))
    this.#division = plan.answerPrimes < plan.primes.length ? new TailDivision(ring, plan.answerPrimes) : null
  }

  /**
   * Encrypted logits; whoever knows c_1 divides by it and has the weights.
   * Math: (c_0 w + bias, c_1 w)
   */
  product({ c0, seed }: SeededCiphertext): Pair {
    const { ring } = this.#prepared.parameters
    const first = ring.multiplyPrepared(c0, this.#weights, c0.slice())
    const c1 = ring.uniform(seed)
    return [ring.add(first, this.#bias, first), ring.multiplyPrepared(c1, this.#weights, c1)]
  }

  /**
   * The same logits in a ciphertext that tells honest askers nothing else: a fresh encryption of zero is added, logits are drowned, all
   * other coefficients made uniform, and all primes given up that the logits do not need.
   */
  kept([c0, c1]: Pair, patients: number, key: MaskingKey, random: RandomSource): Pair {
    const { parameters } = this.#prepared
    const { ring } = parameters
    const [z0, z1] = encryptedZero(parameters, key, random)
    ring.add(z0, c0, z0)
    ring.add(z1, c1, z1)
    const hidden = drowned(this.#prepared, patients, random)
    ring.add(z0, hidden, z0)
    hidden.fill(0)
    const division = this.#division
    const out: Pair = division === null ? [z0, z1] : [division.divide(z0), division.divide(z1)]
    ring.erase()
    return out
  }
}

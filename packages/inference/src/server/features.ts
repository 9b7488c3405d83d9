import type { Evaluations } from "@consilium/lattice/ring/ring"
import { type Parts, RlweArithmetic } from "@consilium/lattice/rlwe/arithmetic"
import type { GaloisKey, RelinearisationKey } from "@consilium/lattice/rlwe/switching-key"
import type { SlotNetwork } from "../model/integer-model.js"
import { diagonalSteps, doublings, type FeatureStage, type PreparedProgram } from "../plan/feature-stages.js"
import type { EvaluationKey, StageKeys } from "../wire/asking-key.js"
import { programOf } from "../wire/evaluation-key.js"
import type { PreparedPlan } from "../wire/prepared-plan.js"
import type { SeededCiphertext } from "../wire/request.js"
import { logitBias, type SlotWeights, slotWeights } from "./slot-weights.js"

/** Arithmetic of one stage under an asker's keys. */
class StageArithmetic {
  readonly #arithmetic: RlweArithmetic
  readonly #stage: FeatureStage
  readonly #keys: StageKeys
  readonly #stride: number

  constructor(arithmetic: RlweArithmetic, stage: FeatureStage, keys: StageKeys, stride: number) {
    this.#arithmetic = arithmetic
    this.#stage = stage
    this.#keys = keys
    this.#stride = stride
  }

  #key(places: number): GaloisKey {
    const at = this.#stage.steps.indexOf(places * this.#stride)
    return this.#keys.galois[at] as GaloisKey
  }
  /** Place e + places comes to place e, for each of some numbers of places; what is rotated is cut into pieces once. */
  rotations(a: Parts, places: readonly number[]): readonly Parts[] {
    return places.length === 0
      ? []
      : this.#arithmetic.automorphisms(
          a,
          places.map((one) => this.#key(one)),
        )
  }
  rotate(a: Parts, places: number): Parts {
    return this.rotations(a, [places])[0] as Parts
  }
  /** The sum over places that are a step apart, as many as there are below a limit. */
  sum(a: Parts, step: number, limit: number): Parts {
    return doublings(step, limit).reduce((sum, places) => this.add(sum, this.rotate(sum, places)), a)
  }
  add(a: Parts, b: Parts): Parts {
    return this.#arithmetic.add(a, b)
  }
  multiply(a: Parts, b: Parts): Parts {
    const product = this.#arithmetic.tensor(a, b)
    return this.#arithmetic.relinearise(product, this.#keys.relinearisation as RelinearisationKey)
  }
  /** sum_i a_i w_i */
  combine(parts: readonly Parts[], weights: readonly Evaluations[]): Parts {
    const { ring } = this.#stage.parameters
    return [0, 1].map((half) => {
      const sum = ring.multiply(parts[0]?.[half] as Evaluations, weights[0] as Evaluations)
      for (let i = 1; i < parts.length; i++)
        ring.multiplyAdd(parts[i]?.[half] as Evaluations, weights[i] as Evaluations, sum, sum)
      return sum
    })
  }
  addPlain([c0, c1]: Parts, plain: Evaluations): Parts {
    return [this.#stage.parameters.ring.add(c0 as Evaluations, plain), c1 as Evaluations]
  }
  divide(a: Parts, left: number): Parts {
    return this.#arithmetic.divide(a, this.#stage.parameters.primes.length - left)
  }
}

/**
 * A network evaluated on ciphertexts whose slots hold features, under the keys that an asker uploaded.
 *
 * Math:   dense layers by diagonals, baby steps from one decomposition, giant steps by Horner's rule with one key; sums of places by
 *         doubling; y^2 or y (y^2 + p) before the next division by primes, so that key switching adds next to nothing
 * Cost:   for widths M to M' about 2 sqrt(min(M, M')) + log2(M / M') key switches
 * Timing: depends on no secret
 * Source: Halevi, Shoup 2014, eprint 2014/106 (diagonals); Juvekar, Vaikuntanathan, Chandrakasan 2018, eprint 2018/073 (fewer rows
 *         than columns)
 */
export class FeatureEvaluation {
  readonly #program: PreparedProgram
  readonly #weights: readonly SlotWeights[]
  readonly #bias: Evaluations
  readonly #arithmetic: readonly RlweArithmetic[]

  constructor(prepared: PreparedPlan, model: SlotNetwork) {
    const program = programOf(prepared)
    this.#program = program
    this.#weights = slotWeights(prepared.plan, program, model)
    this.#bias = logitBias(prepared.plan, program, model.bias)
    this.#arithmetic = program.stages.map(({ parameters }) => new RlweArithmetic(parameters))
  }

  /** Encrypted logits, at every place of each patient. */
  evaluate(ciphertexts: readonly SeededCiphertext[], { stages: keys }: EvaluationKey): Parts {
    const { stages, layout } = this.#program
    const at = stages.map(
      (stage, s) =>
        new StageArithmetic(
          this.#arithmetic[s] as RlweArithmetic,
          stage,
          keys[s] as StageKeys,
          layout.stride,
        ),
    )
    let numbers = this.#firstLayer(at[0] as StageArithmetic, ciphertexts)
    this.#weights.forEach((weights, l) => {
      const next = at[l + 1] as StageArithmetic
      const left = (stages[l + 1] as FeatureStage).parameters.primes.length
      const divided = (at[l] as StageArithmetic).divide(numbers, left)
      const active = this.#activation(next, next.addPlain(divided, weights.bias), weights)
      const following = this.#weights[l + 1]
      const width = layout.widths[l] as number
      numbers =
        following === undefined
          ? next.addPlain(next.sum(active, 1, width), this.#bias)
          : this.#innerLayer(next, active, [width, layout.widths[l + 1] as number], following)
    })
    return numbers
  }

  #firstLayer(stage: StageArithmetic, ciphertexts: readonly SeededCiphertext[]): Parts {
    const { stages, layout } = this.#program
    const { ring } = (stages[0] as FeatureStage).parameters
    const width = layout.widths[0] as number
    const products = (this.#weights[0] as SlotWeights).products.map((one) => one[0] as Evaluations)
    const pairs = ciphertexts.map(({ c0, seed }): Parts => [c0, ring.uniform(seed)])
    return stage.sum(stage.combine(pairs, products), width, width * layout.columnsEach)
  }

  #innerLayer(
    stage: StageArithmetic,
    numbers: Parts,
    [from, to]: readonly [number, number],
    { products }: SlotWeights,
  ): Parts {
    const { babies } = diagonalSteps(from, to)
    const places = Array.from({ length: babies - 1 }, (_, i) => i + 1)
    const turned = [numbers, ...stage.rotations(numbers, places)]
    const giants = products.map((weights) => stage.combine(turned, weights))
    const sum = giants.reduceRight((later, giant) => stage.add(giant, stage.rotate(later, babies)))
    return stage.sum(sum, to, from)
  }

  #activation(stage: StageArithmetic, numbers: Parts, { slope }: SlotWeights): Parts {
    const square = stage.multiply(numbers, numbers)
    return slope === null ? square : stage.multiply(stage.addPlain(square, slope), numbers)
  }
}

import { residuesOf } from "@consilium/lattice/ring/crt"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import type { IntegerSquares } from "../model/integer-model.js"
import type { PreparedPlan } from "../wire/prepared-plan.js"
import type { SeededCiphertext } from "../wire/request.js"

interface Unit {
  /** Residues of each weight. */
  readonly weights: readonly Uint32Array[]
  readonly bias: Uint32Array
  readonly negative: boolean
}

/** A sum of signed squares of integer combinations, patient by patient: no transform and no key. */
export class SquaresEvaluation {
  readonly #prepared: PreparedPlan
  readonly #units: readonly Unit[]
  readonly #bias: Uint32Array

  constructor(prepared: PreparedPlan, model: IntegerSquares) {
    const { primes } = prepared.parameters
    this.#prepared = prepared
    this.#units = model.units.map(({ weights, bias, sign }) => ({
      weights: Array.from(weights, (weight) => residuesOf(primes, BigInt(weight))),
      bias: residuesOf(primes, bias),
      negative: sign < 0,
    }))
    this.#bias = residuesOf(primes, model.bias)
  }

  /** Adds one constant to all slots: in NTT form, to every place of a limb. */
  #addConstant(into: Evaluations, residues: Uint32Array): void {
    const { degree, primes } = this.#prepared.parameters
    primes.forEach((q, limb) => {
      const constant = residues[limb] as number
      for (let i = limb * degree; i < (limb + 1) * degree; i++) {
        const sum = (into[i] as number) + constant
        into[i] = sum >= q ? sum - q : sum
      }
    })
  }

  /** sum_j A_j c_j for one half of the ciphertexts. */
  #combine(halves: readonly Evaluations[], { weights }: Unit, term: Evaluations): Evaluations {
    const { ring } = this.#prepared.parameters
    const sum = ring.scaleByResidues(halves[0] as Evaluations, weights[0] as Uint32Array)
    for (let j = 1; j < halves.length; j++) {
      ring.scaleByResidues(halves[j] as Evaluations, weights[j] as Uint32Array, term)
      ring.add(sum, term, sum)
    }
    return sum
  }

  /**
   * Math:   sum_i sign_i (a_i0^2, 2 a_i0 a_i1, a_i1^2) + bias, a_i = sum_j A_ij c_j + B_i
   * Shape:  one ciphertext a column; result three polynomials
   * Cost:   4 units x columns products with constants and additions, 3 products of polynomials a unit
   */
  evaluate(ciphertexts: readonly SeededCiphertext[]): readonly Evaluations[] {
    const { ring } = this.#prepared.parameters
    const first = ciphertexts.map(({ c0 }) => c0)
    const second = ciphertexts.map(({ seed }) => ring.uniform(seed))
    const [out0, half, out2] = [ring.zeroEvaluations(), ring.zeroEvaluations(), ring.zeroEvaluations()]
    const term = ring.zeroEvaluations()
    for (const unit of this.#units) {
      const a0 = this.#combine(first, unit, term)
      const a1 = this.#combine(second, unit, term)
      this.#addConstant(a0, unit.bias)
      const s0 = unit.negative ? ring.negate(a0) : a0
      const s1 = unit.negative ? ring.negate(a1) : a1
      ring.multiplyAdd(a0, s0, out0, out0)
      ring.multiplyAdd(a0, s1, half, half)
      ring.multiplyAdd(a1, s1, out2, out2)
    }
    this.#addConstant(out0, this.#bias)
    return [out0, ring.add(half, half, half), out2]
  }
}

import { ConsiliumError } from "@consilium/base/errors"
import type { Evaluations } from "../ring/ring.js"
import { checkParameters } from "./ciphertext.js"
import { TailDivision } from "./division.js"
import { type Decomposition, KeySwitcher } from "./key-switching.js"
import type { RlweParameters } from "./parameters.js"
import type { GaloisKey, RelinearisationKey } from "./switching-key.js"

/** The polynomials of a ciphertext. */
export type Parts = readonly Evaluations[]

/** The generator of the rotations: slot i is the value at the 3^i-th power of a root. */
export const ROTATION_GENERATOR = 3

/** The exponent g of X -> X^g that moves every slot `steps` places down, the first ones to the end of their row. */
export const rotationExponent = (degree: number, steps: number): number => {
  const half = degree / 2
  if (!Number.isInteger(steps) || Math.abs(steps) >= half)
    throw new ConsiliumError(
      "lattice/out-of-range",
      `Slots are rotated by whole numbers of steps in (-${half}, ${half}), not ${steps}.`,
    )
  let exponent = 1
  for (let i = 0; i < (steps + half) % half; i++) exponent = (exponent * ROTATION_GENERATOR) % (2 * degree)
  return exponent
}

/**
 * What the schemes have in common: arithmetic on the parts of ciphertexts, whatever they hide.
 * Timing: depends on no secret: all operands are public.
 */
export class RlweArithmetic {
  readonly parameters: RlweParameters
  readonly #switchers = new Map<number, KeySwitcher>()
  readonly #divisions = new Map<string, TailDivision>()

  constructor(parameters: RlweParameters) {
    this.parameters = parameters
  }

  #limbs(a: Evaluations | undefined): number {
    return (a?.length ?? 0) / this.parameters.degree
  }
  #ring(a: Parts) {
    return this.parameters.ringOf(this.#limbs(a[0]))
  }

  /** Sums part by part; the longer one's last parts stay as they are. */
  add(a: Parts, b: Parts): Parts {
    const ring = this.#ring(a)
    const [long, short] = a.length >= b.length ? [a, b] : [b, a]
    return long.map((part, i) => (i < short.length ? ring.add(part, short[i] as Evaluations) : part))
  }
  subtract(a: Parts, b: Parts): Parts {
    const ring = this.#ring(a)
    return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => {
      const [x, y] = [a[i], b[i]]
      if (y === undefined) return x as Evaluations
      return x === undefined ? ring.negate(y) : ring.subtract(x, y)
    })
  }
  negate(a: Parts): Parts {
    const ring = this.#ring(a)
    return a.map((part) => ring.negate(part))
  }
  /** All parts times one polynomial. */
  multiplyEach(a: Parts, by: Evaluations): Parts {
    const ring = this.#ring(a)
    return a.map((part) => ring.multiply(part, by))
  }
  /** All parts times one whole number. */
  scaleEach(a: Parts, by: bigint): Parts {
    const ring = this.#ring(a)
    return a.map((part) => ring.scale(part, by))
  }
  /** (a_0 b_0, a_0 b_1 + a_1 b_0, a_1 b_1). */
  tensor(a: Parts, b: Parts): Parts {
    const ring = this.#ring(a)
    const [a0, a1, b0, b1] = [...a, ...b] as [Evaluations, Evaluations, Evaluations, Evaluations]
    const middle = ring.multiply(a0, b1)
    return [ring.multiply(a0, b0), ring.multiplyAdd(a1, b0, middle, middle), ring.multiply(a1, b1)]
  }

  #switcher(limbs: number): KeySwitcher {
    const made = this.#switchers.get(limbs) ?? new KeySwitcher(this.parameters, limbs)
    this.#switchers.set(limbs, made)
    return made
  }

  /**
   * Three parts to two.
   * @throws {ConsiliumError} "lattice/foreign" if the key is for other parameters
   */
  relinearise(a: Parts, key: RelinearisationKey): Parts {
    checkParameters(this.parameters, key)
    if (a.length === 2) return a
    const [c0, c1, c2] = a as [Evaluations, Evaluations, Evaluations]
    const ring = this.#ring(a)
    const switcher = this.#switcher(this.#limbs(c0))
    const [b0, b1] = switcher.apply(switcher.decompose(c2), key)
    return [ring.add(c0, b0, b0), ring.add(c1, b1, b1)]
  }

  /**
   * X -> X^g for several g at once; the second part is cut into pieces only once.
   * @throws {ConsiliumError} "lattice/foreign" if a key is for other parameters
   */
  automorphisms(a: Parts, keys: readonly GaloisKey[]): readonly Parts[] {
    checkParameters(this.parameters, ...keys)
    const [c0, c1] = a as [Evaluations, Evaluations]
    const ring = this.#ring(a)
    const switcher = this.#switcher(this.#limbs(c0))
    const turned = (key: GaloisKey, pieces: Decomposition): Parts => {
      const [b0, b1] = switcher.apply(pieces, key)
      return [ring.add(b0, ring.automorphismOfEvaluations(c0, key.from.exponent), b0), b1]
    }
    const [first] = keys
    // alone, one polynomial is cheaper to turn than its pieces; pieces are balanced, so the result is the same
    if (first !== undefined && keys.length === 1)
      return [turned(first, switcher.decompose(ring.automorphismOfEvaluations(c1, first.from.exponent)))]
    const pieces = switcher.decompose(c1)
    return keys.map((key) => turned(key, switcher.automorphism(pieces, key.from.exponent)))
  }

  /** All parts divided by their last `primes` primes and rounded. */
  divide(a: Parts, primes: number): Parts {
    const limbs = this.#limbs(a[0])
    const name = `${limbs} ${primes}`
    const division = this.#divisions.get(name) ?? new TailDivision(this.#ring(a), limbs - primes)
    this.#divisions.set(name, division)
    return a.map((part) => division.divide(part))
  }

  /** All parts modulo the first primes only. */
  drop(a: Parts, limbs: number): Parts {
    return a.map((part) => part.slice(0, limbs * this.parameters.degree) as Evaluations)
  }
}

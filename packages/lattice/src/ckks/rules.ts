import { ConsiliumError } from "@consilium/base/errors"
import type { RlweParameters } from "../rlwe/parameters.js"

/** All that the rules of level and scale know of a plaintext. */
export interface PlainShape {
  /** Primes that can still be given up; a value at level l is held modulo l + 1 primes. */
  readonly level: number
  /** What the numbers are multiplied by. */
  readonly scale: number
}
/** All that the rules know of a ciphertext. */
export interface CipherShape extends PlainShape {
  /** Its number of polynomials: 2, or 3 after a product. */
  readonly size: number
}

/** Scales this near to each other, relative to their size, are the same. */
export const SAME_SCALE = 2 ** -40

const levelMismatch = (message: string): never => {
  throw new ConsiliumError("level/mismatch", message)
}

/** The rules of level and scale, which the evaluator and the simulator share. */
export class ShapeRules {
  readonly parameters: RlweParameters
  /** The product of the first primes, by the level, as doubles. */
  readonly #moduli: readonly number[]

  constructor(parameters: RlweParameters) {
    this.parameters = parameters
    this.#moduli = parameters.primes.map((_, level) => Number(parameters.ringOf(level + 1).modulus))
  }

  get topLevel(): number {
    return this.parameters.primes.length - 1
  }

  #sameLevel(a: PlainShape, b: PlainShape): void {
    if (a.level !== b.level) levelMismatch(`One value is at level ${a.level}, the other at level ${b.level}.`)
  }
  #sameScale(a: PlainShape, b: PlainShape): void {
    if (!(Math.abs(a.scale - b.scale) <= SAME_SCALE * a.scale))
      throw new ConsiliumError("scale/mismatch", `One value has scale ${a.scale}, the other ${b.scale}.`)
  }
  #half(level: number): number {
    return (this.#moduli[level] as number) / 2
  }
  /** Whether the scale of a value can be at its level. */
  fits({ level, scale }: PlainShape): boolean {
    return scale >= 1 && scale < this.#half(level)
  }
  #checkScale(shape: PlainShape): void {
    if (!this.fits(shape))
      throw new ConsiliumError(
        "scale/out-of-range",
        `A scale of ${shape.scale} at level ${shape.level} is not in [1, ${this.#half(shape.level)}), half the modulus.`,
      )
  }

  plain(level: number, scale: number): PlainShape {
    if (!Number.isInteger(level) || level < 0 || level > this.topLevel)
      levelMismatch(`Levels are 0 to ${this.topLevel}, not ${level}.`)
    const shape = { level, scale }
    this.#checkScale(shape)
    return shape
  }
  add(a: CipherShape, b: CipherShape): CipherShape {
    this.#sameLevel(a, b)
    this.#sameScale(a, b)
    return { level: a.level, scale: a.scale, size: Math.max(a.size, b.size) }
  }
  addPlain(a: CipherShape, b: PlainShape): CipherShape {
    this.#sameLevel(a, b)
    this.#sameScale(a, b)
    return a
  }
  multiply(a: CipherShape, b: CipherShape): CipherShape {
    this.#sameLevel(a, b)
    if (a.size !== 2 || b.size !== 2)
      levelMismatch(`Products are of ciphertexts of size 2, not ${a.size} and ${b.size}; relinearise first.`)
    const shape = { level: a.level, scale: a.scale * b.scale, size: 3 }
    this.#checkScale(shape)
    return shape
  }
  multiplyPlain(a: CipherShape, b: PlainShape): CipherShape {
    this.#sameLevel(a, b)
    const shape = { level: a.level, scale: a.scale * b.scale, size: a.size }
    this.#checkScale(shape)
    return shape
  }
  relinearise(a: CipherShape, hasKey: boolean): CipherShape {
    if (!hasKey && a.size > 2)
      throw new ConsiliumError("lattice/missing-key", "There is no relinearisation key.")
    return { ...a, size: 2 }
  }
  rescale(a: CipherShape, primes: number): CipherShape {
    if (!Number.isInteger(primes) || primes < 1)
      levelMismatch(`A rescale gives up one prime or more, not ${primes}.`)
    if (primes > a.level)
      throw new ConsiliumError(
        "level/none-left",
        `A ciphertext at level ${a.level} cannot give up ${primes === 1 ? "a prime" : `${primes} primes`}.`,
      )
    let scale = a.scale
    for (let i = 0; i < primes; i++) scale /= this.parameters.primes[a.level - i] as number
    const shape = { level: a.level - primes, scale, size: a.size }
    this.#checkScale(shape)
    return shape
  }
  drop(a: CipherShape, level: number): CipherShape {
    if (!Number.isInteger(level) || level < 0 || level > a.level)
      levelMismatch(`A ciphertext at level ${a.level} cannot be taken to level ${level}.`)
    const shape = { ...a, level }
    this.#checkScale(shape)
    return shape
  }
  automorphism(a: CipherShape, hasKey: boolean, what: string): CipherShape {
    if (a.size !== 2) levelMismatch(`A ciphertext of size ${a.size} cannot be rotated; relinearise first.`)
    if (!hasKey) throw new ConsiliumError("lattice/missing-key", `There is no Galois key for ${what}.`)
    return a
  }
}

/** Real numbers to be encoded. */
export type Reals = Float64Array | readonly number[]

/** At what level and scale to encode; the highest level and the context's scale unless said otherwise. */
export interface EncodeAt {
  readonly level?: number
  readonly scale?: number
}

/**
 * What can be computed on encrypted values. The evaluator does it; the simulator does it on descriptions only, and fails
 * where the evaluator would. A computation written for this interface can be tried on the second before the first.
 *
 * `C` and `P` are ciphertexts and plaintexts, or their descriptions.
 */
export interface CkksOperations<C, P> {
  /** Numbers for slots: N / 2 or fewer. */
  encode(values: Reals, at?: EncodeAt): P
  /** Numbers for coefficients: N or fewer. Products are then products of polynomials. */
  encodeCoefficients(values: Reals, at?: EncodeAt): P
  /** One number for all slots; cheaper than `encode`. */
  encodeConstant(value: number, at?: EncodeAt): P

  add(a: C, b: C): C
  subtract(a: C, b: C): C
  negate(a: C): C
  addPlain(a: C, b: P): C
  subtractPlain(a: C, b: P): C
  /** Slot by slot; scales are multiplied. */
  multiplyPlain(a: C, b: P): C
  /** Times a whole number; level and scale stay. */
  multiplyInteger(a: C, factor: number): C
  /** Slot by slot; scales are multiplied and the size becomes 3. */
  multiply(a: C, b: C): C
  /** Size 3 to 2. */
  relinearise(a: C): C
  /** Gives up the last primes, one unless said otherwise, and divides values and scale by them. */
  rescale(a: C, primes?: number): C
  /** Gives up primes without dividing: the same numbers at the same scale at a lower level. */
  dropTo(a: C, level: number): C
  /** Slot i + steps comes to slot i. */
  rotate(a: C, steps: number): C
  /** Several rotations of one ciphertext, at less cost than one after the other; the same results. */
  rotateMany(a: C, steps: readonly number[]): readonly C[]
  conjugate(a: C): C
}

/** What sums compute with beside the ring: one kernel in WebAssembly, one in plain TypeScript, which give the same bytes. */
export interface SumsKernel {
  /** Samples of `WideGaussian`, from ChaCha20 under a key of 32 bytes. */
  wideGaussian(key: Uint8Array, table: GaussianTable, into: BigInt64Array): void
  /** Lanes of round(2^P x / Q) modulo 2^P, from the residues y_i = x (Q / q_i)^-1 mod q_i. */
  decodeQuotient(y: Uint32Array, layout: QuotientLayout, into: Int32Array): bigint
  /** Carries a check of bytes, a multiple of eight, on. */
  check(before: bigint, bytes: Uint8Array): bigint
}

export interface GaussianTable {
  /** floor(2^128 P(Y <= y)) for y = 0, 1, ...: an even number of them. */
  readonly thresholds: readonly bigint[]
  /** floor(2^67 / (2 sigma_0^2)), below 2^64. */
  readonly curvature: bigint
  /** log2 of the factor by which base values are widened, at most 48. */
  readonly stretch: number
}

export interface QuotientLayout {
  readonly degree: number
  readonly lanes: number
  readonly width: number
  /** Words of 32 bits of the fraction x / Q. */
  readonly words: number
  /** floor(2^(32 words) / q_i) in `words` words each, lowest first. */
  readonly table: Uint32Array
}

/** The nonce of the sampler's stream. */
export const GAUSSIAN_NONCE = [4, 0, 0] as const

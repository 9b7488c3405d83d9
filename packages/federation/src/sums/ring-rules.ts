import { DEGREES } from "@consilium/lattice/ring/primes"
import { MOST_MODULUS_BITS } from "@consilium/lattice/rlwe/parameters"

/** Degrees of the rings that updates can be encrypted in, the smallest first. */
export const RING_DEGREES = DEGREES

/** The most bits of the modulus that are safe at a degree: 128 bits against classical computers; 0 for other degrees. */
export const mostModulusBits = (degree: number): number => MOST_MODULUS_BITS[degree] ?? 0

/** The most bits of Delta, which values are scaled by under ckks: sums are decoded exactly up to it. */
export const MOST_SCALE_BITS = 56

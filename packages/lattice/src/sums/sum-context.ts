import { encode, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import { type Seed, seedOf } from "../ring/seeds.js"

/** Which sum it is: one attempt at one round of one study, under one epoch's keys. */
export interface SumContext {
  /** The study's identity. */
  readonly study: Uint8Array
  /** The key epoch. */
  readonly epoch: number
  /** Digest of the attempt's specification. */
  readonly spec: Uint8Array
  readonly attempt: number
}

/** Facilities are told apart by their evaluation points 1, 2, ..., n. */
export type Point = number
export const MOST_FACILITIES = 1024

const parts = ({ study, epoch, spec, attempt }: SumContext): Uint8Array[] => [
  study,
  encode(u32, epoch),
  spec,
  encode(u32, attempt),
]

/** 32 bytes that name the sum. */
export const sumId = (context: SumContext): Digest => hash("lattice/sum", ...parts(context))

/**
 * The seed of A_j, which everybody computes: nobody is ever told an A by somebody else.
 *
 * Math: SHAKE256 of (domain, study, epoch, spec digest, attempt, j)
 */
export const polynomialSeed = (domain: "sum" | "masked-sum", context: SumContext, block: number): Seed =>
  seedOf(domain, ...parts(context), encode(u32, block))

const badPoints = (message: string): never => {
  throw new ConsiliumError("lattice/bad-opening", message)
}

/** The points in rising order. @throws {ConsiliumError} "lattice/bad-opening" unless they are distinct and in [1, n] */
export const sortedPoints = (points: readonly Point[], facilities: number): readonly Point[] => {
  const sorted = [...points].sort((a, b) => a - b)
  sorted.forEach((point, i) => {
    if (!Number.isInteger(point) || point < 1 || point > facilities)
      badPoints(`Facility ${point} is none of the ${facilities} of this sum.`)
    if (sorted[i - 1] === point) badPoints(`Facility ${point} is named twice.`)
  })
  return sorted
}

/** A sum over one facility is its update: it is never opened. @throws {ConsiliumError} "lattice/bad-opening" */
export const checkCohort = (cohort: readonly Point[]): void => {
  if (cohort.length < 2)
    badPoints(`A sum over ${cohort.length} facilities was to be opened; it takes two at least.`)
}

export const pointBytes = (points: readonly Point[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(4 * points.length))
  points.forEach((point, i) => {
    view.setUint32(4 * i, point)
  })
  return new Uint8Array(view.buffer)
}

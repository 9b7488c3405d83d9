import { rotationExponent } from "@consilium/lattice/rlwe/arithmetic"
import { RlweParameters } from "@consilium/lattice/rlwe/parameters"
import type { FeatureLayout } from "./feature-layout.js"
import { type FeatureLayer, type FeatureProgram, type FeatureRing, programLayout } from "./feature-program.js"

/** How a dense layer is evaluated by diagonals: those of one baby step share what is rotated. */
export interface DiagonalSteps {
  /** Diagonals, a power of two. */
  readonly diagonals: number
  /** Of which so many are taken between two giant steps. */
  readonly babies: number
}

/** The diagonals of a dense layer between two padded widths. */
export const diagonalSteps = (from: number, to: number): DiagonalSteps => {
  const diagonals = Math.min(from, to)
  let babies = 1
  while (babies * babies < diagonals) babies *= 2
  return { diagonals, babies }
}

/** 1, 2, 4, ... times a step, below a limit: the rotations that sum up so many places. */
export const doublings = (step: number, limit: number): readonly number[] => {
  const steps: number[] = []
  for (let at = step; at < limit; at *= 2) steps.push(at)
  return steps
}

/** Places by which the vector is rotated after each dense layer; the last sums up the last layer. */
export const stagePlaces = ({ widths, columnsEach }: FeatureLayout): readonly (readonly number[])[] => {
  const first = widths[0] as number
  const inner = widths.slice(1).map((to, i) => {
    const from = widths[i] as number
    const { diagonals, babies } = diagonalSteps(from, to)
    return [
      ...Array.from({ length: babies - 1 }, (_, k) => k + 1),
      ...(diagonals > babies ? [babies] : []),
      ...doublings(to, from),
    ]
  })
  const last = widths[widths.length - 1] as number
  return [doublings(first, first * columnsEach), ...inner, doublings(1, last)]
}

/** What is computed between two divisions by primes, with a ring and keys of its own. */
export interface FeatureStage {
  readonly parameters: RlweParameters
  /** Rotations by so many slots, each once. */
  readonly steps: readonly number[]
  /** The exponents of these rotations. */
  readonly exponents: readonly number[]
  /** Whether products are made here. */
  readonly relinearises: boolean
}

/** A program with the rings of its stages: one a dense layer, and the last activation with the sum over it. */
export class PreparedProgram {
  readonly program: FeatureProgram
  readonly layout: FeatureLayout
  readonly stages: readonly FeatureStage[]

  /** @throws {ConsiliumError} "lattice/insecure" or "lattice/bad-ring" */
  constructor(program: FeatureProgram, { degree, primes, columns }: FeatureRing) {
    const { specialPrimes, layers } = program
    this.program = program
    this.layout = programLayout(program, { degree, primes, columns })
    const special = specialPrimes.length
    this.stages = stagePlaces(this.layout).map((places, stage) => {
      const left = stage === 0 ? primes.length : (layers[stage - 1] as FeatureLayer).primes
      const own = [...primes.slice(0, left), ...specialPrimes]
      const steps = [...new Set(places)].map((place) => place * this.layout.stride)
      return {
        parameters: RlweParameters.of({ degree, primes: own, special }),
        steps,
        exponents: steps.map((step) => rotationExponent(degree, step)),
        relinearises: stage > 0,
      }
    })
  }
}

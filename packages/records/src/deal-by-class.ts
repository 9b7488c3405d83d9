import { ConsiliumError } from "@consilium/base/errors"
import { permutation, type RandomSource, uniformUnit } from "@consilium/base/random"

export interface Deal {
  /** The class of each record, from 0. */
  readonly labels: ArrayLike<number>
  readonly facilities: number
  /** Concentration: small values give facilities very different shares of a class, large ones nearly equal shares. */
  readonly alpha: number
  readonly random: RandomSource
}

const bad = (message: string): never => {
  throw new ConsiliumError("records/bad-split", message)
}

/**
 * Deals records to facilities class by class, with shares of each class as a Dirichlet distribution gives them: the usual
 * way to make facilities differ on purpose. Drawn as an urn: a record goes to a facility with a probability that grows with
 * what the facility has of its class already, which gives the same distribution as drawing shares first, and takes no
 * function that engines compute differently.
 *
 * Math:   P(next record of the class to j) = (alpha + n_j) / (facilities alpha + n), n_j records of the class at j, n in all
 * Shape:  result: a list of places for each facility, rising; every place is in one list; a list may be empty
 * Source: Blackwell and MacQueen 1973 (the urn); Hsu, Qi and Brown 2019, arXiv:1909.06335 (the use)
 * @throws {ConsiliumError} "records/bad-split" unless alpha is above 0 and there is a facility
 */
export const dealByClass = ({ labels, facilities, alpha, random }: Deal): readonly (readonly number[])[] => {
  if (!(alpha > 0 && alpha < Number.POSITIVE_INFINITY))
    bad(`A concentration of ${alpha} is no number above 0.`)
  if (!Number.isSafeInteger(facilities) || facilities < 1)
    bad(`Records cannot be dealt to ${facilities} facilities.`)
  const classes = [...new Set(Array.from(labels))].sort((a, b) => a - b)
  const dealt = Array.from({ length: facilities }, (): number[] => [])
  for (const label of classes) {
    const places = Array.from(labels, (_, at) => at).filter((at) => labels[at] === label)
    const counts = new Array<number>(facilities).fill(0)
    permutation(random, places.length).forEach((turn, n) => {
      let left = uniformUnit(random) * (facilities * alpha + n)
      let to = 0
      while (to < facilities - 1 && left >= alpha + (counts[to] as number)) {
        left -= alpha + (counts[to] as number)
        to++
      }
      counts[to] = (counts[to] as number) + 1
      dealt[to]?.push(places[turn] as number)
    })
  }
  return dealt.map((places) => places.sort((a, b) => a - b))
}

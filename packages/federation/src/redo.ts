import { compareBytes, equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"

/** A cohort that counts as opened: somebody signed for it, so its sum may be known. */
export interface OpenedCohort {
  /** Parameter hash of the model the round started from. */
  readonly model: Uint8Array
  readonly round: number
  readonly attempt: number
  /** Facilities in the order of their ids. */
  readonly facilities: readonly Uint8Array[]
}

const sameCohort = (a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean =>
  a.length === b.length && a.every((id, i) => compareBytes(id, b[i] as Uint8Array) === 0)

/** Facilities that are in exactly one of two cohorts. */
export const difference = (a: readonly Uint8Array[], b: readonly Uint8Array[]): number => {
  const inA = new Set(a.map(toHex))
  const inB = new Set(b.map(toHex))
  return a.filter((id) => !inB.has(toHex(id))).length + b.filter((id) => !inA.has(toHex(id))).length
}

/**
 * Refuses a cohort whose sum, beside those already opened for the same model, would show the update of fewer than
 * `smallest` facilities. Without differential privacy a model's round may be opened for one cohort as often as needed
 * (the stored integers are protected again, so it is the same sum), and for one other cohort that differs from it by
 * at least `smallest` facilities.
 *
 * @throws {ConsiliumError} "cohort/differencing"
 */
export const checkRedone = (
  opened: readonly OpenedCohort[],
  model: Uint8Array,
  facilities: readonly Uint8Array[],
  smallest: number,
): void => {
  const others: (readonly Uint8Array[])[] = []
  for (const past of opened) {
    if (!equalBytes(past.model, model) || sameCohort(past.facilities, facilities)) continue
    const apart = difference(past.facilities, facilities)
    if (apart < smallest)
      throw new ConsiliumError(
        "cohort/differencing",
        `A cohort that differs by ${apart} from the one of round ${past.round}, attempt ${past.attempt} was proposed for the same model; the two sums would show the update of ${apart}.`,
      )
    if (!others.some((other) => sameCohort(other, past.facilities))) others.push(past.facilities)
  }
  if (others.length > 1)
    throw new ConsiliumError(
      "cohort/differencing",
      `${others.length} other cohorts were already opened for the same model; one is allowed.`,
    )
}

/**
 * Refuses any cohort but the one that was opened for the same model: the rule where a facility's noise is a share of the
 * sum's. The stored integers are in every sum of that model, share included, so two sums over different cohorts, however far
 * apart, leave less noise on what is in one or both of them than one sum is charged for.
 *
 * @throws {ConsiliumError} "cohort/differencing"
 */
export const checkSameCohort = (
  opened: readonly OpenedCohort[],
  model: Uint8Array,
  facilities: readonly Uint8Array[],
): void => {
  for (const past of opened)
    if (equalBytes(past.model, model) && !sameCohort(past.facilities, facilities))
      throw new ConsiliumError(
        "cohort/differencing",
        `Another cohort than that of round ${past.round}, attempt ${past.attempt} was proposed for the same model; the same shares of noise would be in both sums and in part cancel out.`,
        { remedy: "Propose the same cohort again: with noise on the sum no other may follow it." },
      )
}

/** Groups of fewer patients than this are not told. */
export const SMALLEST_GROUP = 5

/** Rows of one group, with the patients that they belong to, each once. */
export interface Cell {
  readonly rows: number
  readonly patients: ArrayLike<number>
}

/** Whether so many patients are in some cells together. */
type HaveTogether = (places: readonly number[], patients: number) => boolean

/**
 * Places of the groups that are hidden: those of 1 to 4 patients, and then the next smallest until at least two groups and
 * five patients are hidden together. Empty groups hold nobody.
 */
const hiddenPlaces = (sizes: readonly number[], have: HaveTogether): readonly number[] => {
  const isSmall = (size: number): boolean => size > 0 && size < SMALLEST_GROUP
  const hidden = [...sizes.keys()].filter((place) => isSmall(sizes[place] as number))
  const rest = [...sizes.keys()]
    .filter((place) => (sizes[place] as number) >= SMALLEST_GROUP)
    .sort((a, b) => (sizes[a] as number) - (sizes[b] as number) || a - b)
  while (hidden.length > 0 && (hidden.length < 2 || !have(hidden, SMALLEST_GROUP))) {
    const next = rest.shift()
    if (next === undefined) break
    hidden.push(next)
  }
  return hidden.sort((a, b) => a - b)
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/**
 * Whether somebody who knows the total, what is shown and the rule of hiding must leave open what each hidden group holds:
 * for each there is another that one patient could be in instead, with the same groups hidden.
 */
const staysOpen = (sizes: readonly number[], hidden: readonly number[]): boolean => {
  const sameHidden = (other: readonly number[]): boolean => {
    const have: HaveTogether = (places, patients) =>
      sum(places.map((place) => other[place] as number)) >= patients
    return hiddenPlaces(other, have).join() === hidden.join()
  }
  const moved = (from: number, to: number): readonly number[] =>
    sizes.map((size, place) => size - (place === from ? 1 : 0) + (place === to ? 1 : 0))
  return hidden.every((one) =>
    hidden.some((two) => one !== two && (sameHidden(moved(one, two)) || sameHidden(moved(two, one)))),
  )
}

/**
 * Which counts of a division of all rows may be shown, where the total is known; null for those that may not.
 *
 * A group of 1 to 4 patients is hidden. What is hidden must not follow from the total and the rest, so one hidden group
 * takes the next smallest with it; and where even then the rule itself would give a count away, or there are fewer than two
 * patients for each group, nothing is shown. Empty groups are shown: they hold nobody.
 *
 * Source: complementary cell suppression, Hundepool et al. 2012, Statistical Disclosure Control, chapter 4; against those
 *   who know the rule as in Wong et al. 2007, "Minimality attack in privacy preserving data publishing"
 */
export const shownCounts = (cells: readonly Cell[]): readonly (number | null)[] => {
  const have: HaveTogether = (places, patients) => {
    const known = new Set<number>()
    for (const place of places) {
      const own = (cells[place] as Cell).patients
      for (let i = 0; i < own.length && known.size < patients; i++) known.add(own[i] as number)
    }
    return known.size >= patients
  }
  const sizes = cells.map(({ patients }) => patients.length)
  const hidden = hiddenPlaces(sizes, have)
  if (!have([...cells.keys()], 2 * cells.length) || !staysOpen(sizes, hidden)) return cells.map(() => null)
  return cells.map(({ rows }, place) => (hidden.includes(place) ? null : rows))
}

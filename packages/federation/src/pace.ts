// How fast rounds come, measured from the times of a ledger's own entries, and when a budget will be reached at that pace.

const DAY = 86_400_000

/** How fast a study's rounds have come. */
export interface Pace {
  readonly roundsPerDay: number
  /** Time of the last round, in milliseconds since 1970. */
  readonly last: number
}

/**
 * The pace of rounds at some times (milliseconds since 1970, in any order); null where fewer than two times tell none.
 *
 * Math:  (n - 1) / (last - first)
 * Units: rounds per day
 */
export const paceOf = (times: readonly number[]): Pace | null => {
  const first = Math.min(...times)
  const last = Math.max(...times)
  return times.length < 2 || last === first
    ? null
    : { roundsPerDay: ((times.length - 1) * DAY) / (last - first), last }
}

/** When the `n`th round from here comes, if none comes before `from`. Milliseconds since 1970. */
export const roundAt = ({ roundsPerDay, last }: Pace, n: number, from: number): number =>
  Math.max(last + DAY / roundsPerDay, from) + ((n - 1) * DAY) / roundsPerDay

/** Rounds of one study that are still to come. */
export interface ComingRounds {
  readonly pace: Pace | null
  /** How many its plan has left. */
  readonly left: number
}

export interface CapForecast {
  /** Rounds of all the studies together that still fit, in the order in which they come; null where no pace is known. */
  readonly rounds: number | null
  /** When the first round comes that no longer fits; null if none does. Milliseconds since 1970. */
  readonly reachedAt: number | null
  /** What comes first: the cap, the end of the plans, the end of the time looked at; or nothing can be said yet. */
  readonly by: "cap" | "planned" | "time" | "unknown"
}

/** Most coming rounds of one study that are looked at. */
const MOST_ROUNDS = 100_000

/**
 * When a budget that several studies share is reached, if each goes on at its pace. A study whose pace nobody knows yet
 * counts nothing. `fits` says whether so many more rounds of each study fit, and holds for fewer if it holds for more.
 */
export const whenReached = (
  studies: readonly ComingRounds[],
  fits: (rounds: readonly number[]) => boolean,
  { from, until }: { readonly from: number; readonly until: number },
): CapForecast => {
  const going = studies.filter(({ left }) => left > 0)
  if (going.length > 0 && going.every(({ pace }) => pace === null))
    return { rounds: null, reachedAt: null, by: "unknown" }
  const all = studies.flatMap(({ pace, left }, study) =>
    pace === null
      ? []
      : Array.from({ length: Math.min(left, MOST_ROUNDS) }, (_, i) => ({
          study,
          at: roundAt(pace, i + 1, from),
        })),
  )
  const coming = all.filter(({ at }) => at < until).sort((a, b) => a.at - b.at || a.study - b.study)
  const firstFit = (count: number): boolean => {
    const rounds = studies.map(() => 0)
    for (const { study } of coming.slice(0, count)) rounds[study] = (rounds[study] as number) + 1
    return fits(rounds)
  }
  let fit = 0
  let above = coming.length + 1
  while (above - fit > 1) {
    const middle = (fit + above) >>> 1
    if (firstFit(middle)) fit = middle
    else above = middle
  }
  const first = coming[fit]
  if (first !== undefined) return { rounds: fit, reachedAt: first.at, by: "cap" }
  return { rounds: fit, reachedAt: null, by: coming.length < all.length ? "time" : "planned" }
}

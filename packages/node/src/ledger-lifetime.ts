import type { Budget, Refusal } from "@consilium/federation/policy"
import { filterEpsilon } from "@consilium/privacy/filter"
import { newPrivacyOdometer, odometerReading, recordEvent } from "@consilium/privacy/odometer"
import { addedUp, filterAfter, type Spent } from "./ledger-budget.js"

/** A person's decision in some month that the ledger begins anew. */
export interface DatedBeginning {
  readonly month: string
  readonly by: string
  readonly reason: string
}

/** What a facility has spent over all its studies and months. */
export interface LifetimeReading {
  /** By an odometer, in nats at `delta`: it holds at every moment, whatever comes next. */
  readonly epsilon: number
  readonly delta: number
  /** Noisy updates. */
  readonly updates: number
  /** The first month that is known of; null if nothing is spent. */
  readonly since: string | null
  /** The policy's cap, and what is spent of it by the filter that keeps it. */
  readonly cap: (Budget & { readonly spent: number }) | null
  /** New beginnings: what was spent before them and is lost is not in these figures. */
  readonly beginnings: readonly DatedBeginning[]
}

/** Folds the entries of all months into one reading. */
export const lifetimeReading = (
  entries: readonly (Spent & { readonly month: string })[],
  beginnings: readonly DatedBeginning[],
  cap: Budget | null,
  delta: number,
): LifetimeReading => {
  let odometer = newPrivacyOdometer(delta)
  for (const { event, steps } of addedUp(entries)) odometer = recordEvent(odometer, event, steps)
  const months = [...entries, ...beginnings].map(({ month }) => month).sort()
  return {
    ...odometerReading(odometer),
    updates: entries.length,
    since: months[0] ?? null,
    cap: cap && lifetimeCapReading(entries, beginnings, cap),
    beginnings,
  }
}

/** A cap over all months with what is spent of it. */
export const lifetimeCapReading = (
  entries: readonly Spent[],
  beginnings: readonly DatedBeginning[],
  cap: Budget,
): NonNullable<LifetimeReading["cap"]> => {
  const filter = filterAfter(cap, entries)
  const known = filter === null ? Number.POSITIVE_INFINITY : filterEpsilon(filter)
  return { ...cap, spent: beginnings.length === 0 ? known : Math.max(known, cap.epsilon) }
}

/**
 * Why a facility's lifetime has no room for one more update, or null: `spent` is everything charged and set aside. After a
 * new beginning nobody knows what was spent, so all of a lifetime's cap counts as spent.
 */
export const refuseLifetime = (
  cap: Budget | null,
  spent: readonly Spent[],
  next: Spent,
  beginnings: readonly DatedBeginning[],
): Refusal | null => {
  if (cap === null) return null
  const code = "policy/privacy-lifetime"
  const { epsilon, delta } = cap
  const [begun] = beginnings
  if (begun !== undefined)
    return {
      code,
      reason: `This facility's privacy ledger was started anew in ${begun.month}; what it had spent before is unknown, so its whole lifetime budget of epsilon ${epsilon.toFixed(2)} (delta ${delta}) counts as spent.`,
    }
  if (filterAfter(cap, [...spent, next]) !== null) return null
  const before = filterAfter(cap, spent)
  const used = before === null ? "more than that" : filterEpsilon(before).toFixed(2)
  return {
    code,
    reason: `This facility's lifetime privacy budget is used up: all studies of all months together may spend epsilon ${epsilon.toFixed(2)} (delta ${delta}), ${used} is spent or set aside, and another round would go beyond it.`,
  }
}

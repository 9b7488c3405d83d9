import { fromHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import type { Budget } from "@consilium/federation/policy"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import type { DpEvent } from "@consilium/privacy/events"
import { newPrivacyFilter, type PrivacyFilter, requestEvent } from "@consilium/privacy/filter"

/** So many releases of an event. */
export interface Spent {
  /** The event's canonical bytes in hexadecimal. */
  readonly event: string
  readonly steps: number
}

/** Releases of the same event added up: their cost is found once. */
export const addedUp = (
  spent: readonly Spent[],
): readonly { readonly event: DpEvent; readonly steps: number }[] => {
  const steps = new Map<string, number>()
  for (const one of spent) steps.set(one.event, (steps.get(one.event) ?? 0) + one.steps)
  return [...steps].map(([event, count]) => ({ event: decode(dpEventCodec, fromHex(event)), steps: count }))
}

/**
 * A budget's filter after some events, or null if they do not fit. A filter and not an accountant, since studies may be
 * chosen because of what earlier ones have shown.
 */
export const filterAfter = (budget: Budget, spent: readonly Spent[]): PrivacyFilter | null => {
  let filter: PrivacyFilter | null = newPrivacyFilter(budget)
  for (const { event, steps } of addedUp(spent)) filter = filter && requestEvent(filter, event, steps)
  return filter
}

import type { EventView } from "@consilium/node/api/study-view"

/** How many lines of the log stay on the page. */
export const TAIL_LENGTH = 200

/** Adds lines to the end of a log, each once and in order, and keeps the last ones. */
export const extendTail = (
  tail: readonly EventView[],
  more: readonly EventView[],
  keep = TAIL_LENGTH,
): readonly EventView[] => {
  const last = tail.at(-1)?.seq ?? 0
  const sorted = [...more].sort((a, b) => a.seq - b.seq)
  // the usual case: everything is newer than what is there
  const all =
    (sorted[0]?.seq ?? Number.POSITIVE_INFINITY) > last
      ? [...tail, ...sorted]
      : [...tail, ...sorted].sort((a, b) => a.seq - b.seq)
  return all.filter((event, i) => event.seq !== all[i - 1]?.seq).slice(-keep)
}

/** Whether lines are missing between the end of a log and a line that came by itself. */
export const leavesGap = (tail: readonly EventView[], next: EventView): boolean =>
  next.seq > (tail.at(-1)?.seq ?? 0) + 1

import { SMALL_CELL } from "@consilium/learning/small-cells"

interface Bin {
  readonly from: number
  readonly to: number
  readonly rows: number
}

/**
 * A histogram in which no bin tells of few rows: each bin is joined with those after it until it holds at least as many as the
 * smallest group that is told, and what is left at the end with the last. Nothing is taken away, so nothing follows by
 * subtracting; bins of no rows at all between others stay with the bin that they are joined to.
 *
 * Shape: bins that lie side by side, in order; so is the result
 */
export const mergedSmallBins = (bins: readonly Bin[]): readonly Bin[] => {
  const out: Bin[] = []
  let open: Bin | null = null
  for (const bin of bins) {
    open = open === null ? bin : { from: open.from, to: bin.to, rows: open.rows + bin.rows }
    if (open.rows >= SMALL_CELL) {
      out.push(open)
      open = null
    }
  }
  const last = out.at(-1)
  if (open === null) return out
  if (last === undefined) return [open]
  return [...out.slice(0, -1), { from: last.from, to: open.to, rows: last.rows + open.rows }]
}

import { SMALL_CELL } from "@consilium/learning/small-cells"

interface Bin {
  readonly from: number
  readonly to: number
  readonly rows: number
}

const joined = (a: Bin, b: Bin): Bin => ({ from: a.from, to: b.to, rows: a.rows + b.rows })

/**
 * A histogram in which no bin tells of few rows: each bin with any is joined with those after it until it holds at least as
 * many as the smallest group that is told, and what is left at the end with the last such bin. Nothing is taken away, so nothing
 * follows by subtracting. Bins of no rows at all hold nobody: they stay, those side by side as one.
 *
 * Shape: bins that lie side by side, in order; so is the result
 */
export const mergedSmallBins = (bins: readonly Bin[]): readonly Bin[] => {
  const out: Bin[] = []
  let open: Bin | null = null
  for (const bin of bins) {
    const last = out.at(-1)
    if (open === null && bin.rows === 0 && last?.rows === 0) out[out.length - 1] = joined(last, bin)
    else if (open === null && bin.rows === 0) out.push(bin)
    else {
      open = open === null ? bin : joined(open, bin)
      if (open.rows < SMALL_CELL) continue
      out.push(open)
      open = null
    }
  }
  if (open === null) return out
  // few rows are left: with everything from the last bin that holds enough
  const place = out.findLastIndex(({ rows }) => rows > 0)
  return place < 0
    ? [out.reduceRight((later, bin) => joined(bin, later), open)]
    : [...out.slice(0, place), out.slice(place).reduceRight((later, bin) => joined(bin, later), open)]
}

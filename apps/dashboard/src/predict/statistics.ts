/** The value below which a share of some values lies, by nearest rank; null of none. */
export const quantile = (values: readonly number[], share: number): number | null => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null
}

/**
 * How many of some shares of one lie in each of equally wide bins; one goes to the last.
 * Shape: `bins` counts
 */
export const histogram = (shares: readonly number[], bins: number): readonly number[] => {
  const counts = new Array<number>(bins).fill(0)
  for (const share of shares) {
    const bin = Math.min(bins - 1, Math.floor(share * bins + 1e-9))
    counts[bin] = (counts[bin] as number) + 1
  }
  return counts
}

/** Mean of the values that are defined; null of none. */
export const meanOf = (values: readonly (number | null)[]): number | null => {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length
}

/** Sample standard deviation of the values that are defined; null of fewer than two. */
export const deviationOf = (values: readonly (number | null)[]): number | null => {
  const known = values.filter((value) => value !== null)
  const mean = meanOf(known)
  if (mean === null || known.length < 2) return null
  return Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (known.length - 1))
}

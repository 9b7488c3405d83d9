/** Longest text that is taken over from a server. */
const LONGEST = 1000

/** A server's text as one line of bounded length without control characters; null if it is none, or empty. */
export const oneLine = (value: unknown): string | null => {
  if (typeof value !== "string") return null
  const line = value
    .slice(0, 2 * LONGEST)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ")
    .trim()
  return line === "" ? null : line.slice(0, LONGEST)
}

/** Figures as text. English and UTC everywhere, as in the log and on the command line, whatever the machine's settings. */

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",")

/** A whole number with its thousands apart. */
export const countText = (value: number): string => grouped(String(Math.round(value)))

/** "1 round", "4 rounds". */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${countText(count)} ${count === 1 ? one : many}`

const UNITS = ["bytes", "kB", "MB", "GB", "TB"] as const

/** Bytes with three digits and a decimal unit: 12,345 is "12.3 kB". */
export const bytesText = (bytes: number): string => {
  let [value, unit] = [bytes, 0]
  // 999.5 of one unit would be written as 1000
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  if (unit === 0) return bytes === 1 ? "1 byte" : `${bytes} bytes`
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}

/** Milliseconds in the largest two units that matter. */
export const durationText = (milliseconds: number): string => {
  const seconds = Math.max(0, milliseconds) / 1000
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor((whole % 3600) / 60)
  const [large, small] =
    whole < 3600
      ? [`${minutes} min`, whole % 60 && `${whole % 60} s`]
      : [`${Math.floor(whole / 3600)} h`, minutes && `${minutes} min`]
  return small === 0 ? large : `${large} ${small}`
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

/** The time of day of an ISO time or of milliseconds since 1970. */
export const timeText = (at: string | number): string => `${new Date(at).toISOString().slice(11, 19)} UTC`

export const dateTimeText = (at: string | number): string => {
  const date = new Date(at)
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}, ${timeText(at)}`
}

/** A share of one in percent with one decimal. */
export const percentText = (share: number): string => `${(share * 100).toFixed(1)} %`

const DAY_MINUTES = 24 * 60

/** How fast rounds come, in the largest unit that has one of them. */
export const paceText = (roundsPerDay: number): string => {
  if (roundsPerDay >= DAY_MINUTES) return `${(roundsPerDay / DAY_MINUTES).toFixed(1)} rounds a minute`
  if (roundsPerDay >= 24) return `${(roundsPerDay / 24).toFixed(1)} rounds an hour`
  return roundsPerDay >= 1
    ? `${roundsPerDay.toFixed(1)} rounds a day`
    : `one round in ${(1 / roundsPerDay).toFixed(1)} days`
}

/** A figure with three decimals, as the command line prints it. */
export const figureText = (value: number | null): string => (value === null ? "–" : value.toFixed(3))

/** Three digits that matter, without an exponent where one can read the number without. */
export const roughText = (value: number): string => {
  if (value === 0) return "0"
  const size = Math.abs(value)
  return size >= 0.001 && size < 100_000 ? String(Number(value.toPrecision(3))) : value.toExponential(1)
}

/** A small chance in words: 0.00001 is "1 in 100,000". */
export const oddsText = (chance: number): string => (chance > 0 ? `1 in ${countText(1 / chance)}` : "never")

/** The first digits of a hash; the whole of it stands in the title. */
export const shortHash = (hash: string): string => (hash.length > 12 ? `${hash.slice(0, 12)}…` : hash)

const SMALL = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

/** Small numbers as words. */
export const numberWord = (value: number): string => SMALL[value] ?? countText(value)

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const parts = (name: string): readonly string[] => name.match(/\d+|\D+/g) ?? []

/** The order in which people list names: "clinic-2" before "clinic-10". */
export const inNameOrder = (a: string, b: string): number => {
  const [left, right] = [parts(a), parts(b)]
  for (const [i, part] of left.entries()) {
    const other = right[i]
    if (other === undefined) return 1
    const difference = Number(part) - Number(other)
    if (!Number.isNaN(difference) && difference !== 0) return difference
    if (part !== other) return part < other ? -1 : 1
  }
  return left.length - right.length
}

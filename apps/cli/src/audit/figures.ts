import type { AttackAuc } from "@consilium/privacy/audit/auc"
import type { RateVerdict } from "@consilium/privacy/audit/rates"
import type { AuditRow } from "./section.js"

/** How sure a statement about chance is, unless a row says otherwise. */
export const CONFIDENCE = 0.95
/** How sure an alarm is: of 10,000 audits of a sound build, at most one rings on such a row. */
export const ALARM_CONFIDENCE = 0.9999

type Told = Pick<AuditRow, "id" | "what">

const short = (value: number): string => {
  const size = Math.abs(value)
  if (value === 0 || size === Infinity) return String(value)
  return size < 1e-3 || size >= 1e4 ? value.toExponential(1) : String(Number(value.toPrecision(3)))
}
export const figure = short

/** A figure that is only told: nothing bounds it, and it is what an honest report owes its readers. */
export const told = (row: Told, value: string): AuditRow => ({ ...row, value, bound: null, holds: null })

export const atMost = (row: Told, value: number, bound: number, confidence?: number): AuditRow => ({
  ...row,
  value: short(value),
  bound: `<= ${short(bound)}`,
  holds: value <= bound,
  ...(confidence === undefined ? {} : { confidence }),
})

export const atLeast = (row: Told, value: number, bound: number, confidence?: number): AuditRow => ({
  ...row,
  value: short(value),
  bound: `>= ${short(bound)}`,
  holds: value >= bound,
  ...(confidence === undefined ? {} : { confidence }),
})

const aucText = ({ auc, interval }: AttackAuc): string =>
  `AUC ${auc.toFixed(3)} [${interval.low.toFixed(3)}, ${interval.high.toFixed(3)}]`

/** That an attack works: its whole interval lies above. */
export const attackWorks = (
  row: Told,
  found: AttackAuc,
  least: number,
  confidence = CONFIDENCE,
): AuditRow => ({
  ...row,
  value: aucText(found),
  bound: `>= ${short(least)}`,
  holds: found.interval.low >= least,
  confidence,
})

/** That an attack is no better than a coin, nor worse: its interval holds 1/2 and is narrow enough to say so. */
export const isChance = (row: Told, found: AttackAuc, widest = 0.15): AuditRow => {
  const { low, high } = found.interval
  return {
    ...row,
    value: aucText(found),
    bound: `0.5, known to +-${short(widest)}`,
    holds: low <= 0.5 && high >= 0.5 && high - low <= 2 * widest,
    confidence: ALARM_CONFIDENCE,
  }
}

export const toldAuc = (row: Told, found: AttackAuc): AuditRow => told(row, aucText(found))

/** That an attack's true-positive rate stays below what privacy allows. */
export const withinPrivacy = (row: Told, verdict: RateVerdict): AuditRow => ({
  ...row,
  value: `TPR ${verdict.truePositiveRate.toFixed(3)} (< ${verdict.atMost.toFixed(3)}) at FPR ${verdict.falsePositiveRate.toFixed(3)}`,
  bound: `<= ${verdict.allowed.toFixed(3)}`,
  holds: verdict.holds,
  confidence: CONFIDENCE,
})

/** How many of the records were found to 1e-3 in every feature. */
export const RECOVERED = 1e-3
export const share = (count: number, of: number): string => `${count} of ${of}`

/** How near a record must come in every feature to count as found where it should not be: a tenth of a deviation. */
export const NEAR = 0.1

export const noneNear = (row: Told, errors: readonly number[]): AuditRow => {
  const found = errors.filter((error) => error <= NEAR).length
  return { ...row, value: share(found, errors.length), bound: "none", holds: found === 0 }
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number

import { equalBytes, fromHex, toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { type Charge, ledgerEntryOf } from "@consilium/federation/charge"
import { emptyLedger, ledgerHeadAfter } from "@consilium/federation/ledger-chain"
import { isPrivate } from "@consilium/federation/privacy-plan"
import { participantId } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import { varianceRatioInterval } from "@consilium/privacy/audit/chi-square"
import { guessExtremes, oneRunEpsilon } from "@consilium/privacy/audit/one-run"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import { finestUsefulStep } from "@consilium/privacy/grid"
import { RdpAccountant } from "@consilium/privacy/rdp"
import type { SentUpdate } from "./facility-process-record.js"
import { CANARIES, CLIP, FEATURES, type Planted, scaleOf } from "./facility-process-study.js"
import type { AuditRow } from "./section.js"

/** What an audit saw of one facility. */
export interface Seen {
  readonly study: Study
  readonly name: string
  readonly patients: readonly Planted[]
  /** Every update that its parent was sent, in their order. */
  readonly updates: readonly SentUpdate[]
  readonly charges: readonly Charge[]
  /** What the facility's privacy ledger says by itself. */
  readonly ledger: LedgerTold
}

export interface LedgerTold {
  readonly head: { readonly seq: number; readonly hash: string }
  /** Updates that were charged in the audit's study. */
  readonly updates: number
  /** What they cost, in nats at the study's delta; null if that bounds nothing. */
  readonly epsilon: number | null
}

/** How often each row that is left to chance may be wrong about a sound build. */
const ERROR = 1e-6
const ONE_RUN_CONFIDENCE = 1 - 1e-5
/** Of 254 canaries about 127 are in the table; both halves of the guesses are sure where there is no noise. */
const GUESSES = 180
const BIAS = FEATURES.length
/** Mean variance of rounding up or down at random. */
const ROUNDING = 1 / 6

const shown = (value: number): string => value.toPrecision(4)

/** What one update was charged as: noise and rate, in grid steps. */
interface Charged {
  readonly sigma: number
  readonly rate: number
}

const chargedAs = (charge: Charge): Charged | null => {
  const event = decode(dpEventCodec, charge.event)
  if (event.type !== "poisson-sampled" || event.event.type !== "discrete-gaussian-vector") return null
  return { sigma: event.event.sigma * Math.sqrt(charge.steps), rate: event.samplingProbability }
}

const headOf = ({ study }: Seen, charge: Charge): string =>
  toHex(ledgerHeadAfter(ledgerEntryOf(studyDigest(study), charge)).hash)

/** An update with what was charged for it, its integers scaled back to sums in grid steps. */
interface Paid extends Charged {
  readonly sums: Float64Array
}

/** For each charge that stands in the ledger, the first update that it paid for. */
const paidUpdates = (seen: Seen): readonly Paid[] => {
  const { study, patients, updates, charges } = seen
  const scale = scaleOf(study, patients.length, finestUsefulStep(CLIP, FEATURES.length + 1))
  return charges.flatMap((charge) => {
    const head = headOf(seen, charge)
    const update = updates.find(({ ledger }) => ledger === head)
    const charged = chargedAs(charge)
    if (update === undefined || charged === null) return []
    const sums = Float64Array.from(update.values, (value) => value / scale)
    return [{ ...charged, sigma: Math.hypot(charged.sigma, Math.sqrt(ROUNDING) / scale), sums }]
  })
}

/** Columns in which no patient of the facility has anything. */
const emptyColumns = ({ patients }: Seen): readonly number[] => {
  const taken = new Set(patients.map(({ column }) => column))
  return FEATURES.map((_, column) => column).filter((column) => !taken.has(column))
}

/** Mean square of what is in some columns, where 1 is what was charged. */
const variance = ({ sums, sigma }: Paid, columns: readonly number[]): number =>
  columns.reduce((sum, column) => sum + ((sums[column] as number) / sigma) ** 2, 0) / columns.length

const between = (
  row: Pick<AuditRow, "id" | "what">,
  value: number,
  from: number,
  to: number,
  errorProbability = ERROR,
): AuditRow => ({
  ...row,
  value: shown(value),
  bound: `${shown(from)} to ${shown(to)}`,
  holds: value >= from && value <= to,
  confidence: 1 - errorProbability,
})

/** Whether the noise of all updates together has the deviation that was charged, neither less nor more. */
export const noiseRow = (seen: Seen): AuditRow => {
  const columns = emptyColumns(seen)
  const paid = paidUpdates(seen)
  const mean = paid.reduce((sum, update) => sum + variance(update, columns), 0) / paid.length
  const { low, high } = varianceRatioInterval(paid.length * columns.length, ERROR)
  return between(
    { id: "process/noise", what: "Noise in the updates, as a share of the noise that was charged" },
    Math.sqrt(mean),
    Math.sqrt(low),
    Math.sqrt(high),
  )
}

/** Whether every single update has its noise, most of them being of steps that drew nobody. */
export const emptyBatchRow = (seen: Seen): AuditRow => {
  const columns = emptyColumns(seen)
  const each = paidUpdates(seen).map((update) => variance(update, columns))
  const { low } = varianceRatioInterval(columns.length, (2 * ERROR) / each.length)
  const least = Math.sqrt(Math.min(...each))
  return {
    id: "process/noise-of-empty-batches",
    what: "Least noise of any update of a facility whose batches are mostly empty, as a share of what was charged",
    value: shown(least),
    bound: `>= ${shown(Math.sqrt(low))}`,
    holds: least >= Math.sqrt(low),
    confidence: 1 - ERROR,
  }
}

/**
 * Whether patients join each step independently with the charged probability. Every patient moves the bias alike, so the
 * bias of an update tells the size of its batch, but for its noise; the variance of the size is the sum of the covariances
 * of all pairs of patients.
 *
 * Math: mean q sum b_i, variance q (1 - q) sum b_i^2 + sigma^2, b_i = clip / sqrt(1 + x_i^2) in grid steps
 */
export const samplingRows = (seen: Seen): readonly AuditRow[] => {
  const paid = paidUpdates(seen)
  const [first] = paid as [Paid]
  const { rate, sigma } = first
  const step = finestUsefulStep(CLIP, FEATURES.length + 1)
  const moves = seen.patients.map(({ value }) => Math.round(CLIP / Math.hypot(1, value) / step))
  const all = moves.reduce((sum, move) => sum + move, 0)
  const expected = rate * (1 - rate) * moves.reduce((sum, move) => sum + move * move, 0) + sigma * sigma
  const sizes = paid.map(({ sums }) => sums[BIAS] as number)
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length
  const spread = sizes.reduce((sum, size) => sum + (size - rate * all) ** 2, 0) / sizes.length / expected
  const { low, high } = varianceRatioInterval(sizes.length, ERROR)
  const furthest = Math.sqrt((varianceRatioInterval(1, ERROR).high * expected) / sizes.length) / all
  return [
    between(
      {
        id: "process/share-drawn",
        what: `Share of the patients that a step draws, charged as ${rate}`,
      },
      mean / all,
      rate - furthest,
      rate + furthest,
    ),
    between(
      {
        id: "process/batch-sizes",
        what: "Variance of the batches' sizes, as a share of what drawing each patient by itself gives",
      },
      spread,
      low,
      high,
    ),
  ]
}

/** A lower bound on epsilon from guessing which of the canaries are in the table, against what the charges add up to. */
export const oneRunRow = (seen: Seen, included: readonly boolean[]): AuditRow => {
  const { study, charges } = seen
  const paid = paidUpdates(seen)
  const scores = Float64Array.from({ length: CANARIES }, (_, canary) =>
    paid.reduce((sum, { sums }) => sum + (sums[canary] as number), 0),
  )
  const delta = study.privacy?.delta ?? 0
  const claimed = chargedEpsilon(charges, delta)
  const run = guessExtremes(scores, included, GUESSES)
  const bound = oneRunEpsilon(run, delta, ONE_RUN_CONFIDENCE)
  return {
    id: "process/one-run",
    what: `Least epsilon that fits ${run.correct} right guesses of ${run.guesses} about who is in the table (delta ${delta})`,
    value: shown(bound),
    bound: `<= ${shown(claimed)}`,
    holds: bound <= claimed,
    confidence: ONE_RUN_CONFIDENCE,
  }
}

const chargedEpsilon = (charges: readonly Charge[], delta: number): number => {
  // events that are alike are composed at once
  const steps = new Map<string, number>()
  for (const { event, steps: more } of charges) steps.set(toHex(event), (steps.get(toHex(event)) ?? 0) + more)
  return [...steps]
    .reduce(
      (spent, [event, count]) => spent.compose(decode(dpEventCodec, fromHex(event)), count),
      new RdpAccountant(),
    )
    .getEpsilon(delta)
}

const wholeChain = (seen: Seen): boolean => {
  let { seq, hash } = emptyLedger(participantId(seen.name)) as { seq: number; hash: Uint8Array }
  for (const charge of seen.charges) {
    if (charge.place.seq !== seq + 1 || !equalBytes(charge.place.previous, hash)) return false
    ;({ seq, hash } = ledgerHeadAfter(ledgerEntryOf(studyDigest(seen.study), charge)))
  }
  return seen.ledger.head.seq === seq && seen.ledger.head.hash === toHex(hash)
}

/** Whether each update names a charge for the model it starts from, and the ledger adds up to all of them. */
const isPaid = (seen: Seen): boolean => {
  const { study, updates, charges, ledger } = seen
  if (!isPrivate(study)) return false
  const byHead = new Map(charges.map((charge) => [headOf(seen, charge), charge]))
  const all = updates.every(({ ledger: head, spec }) => {
    const charge = byHead.get(head)
    return charge !== undefined && equalBytes(charge.model, spec.model)
  })
  const epsilon = chargedEpsilon(charges, study.privacy.delta)
  const told = ledger.epsilon ?? Number.NaN
  const adds = ledger.updates === charges.length && Math.abs(told - epsilon) <= 1e-9 * epsilon
  return all && adds && wholeChain(seen)
}

export const chargesRow = (facilities: readonly Seen[]): AuditRow => {
  const updates = facilities.reduce((sum, seen) => sum + seen.updates.length, 0)
  const charges = facilities.reduce((sum, seen) => sum + seen.charges.length, 0)
  const unpaid = facilities.filter((seen) => !isPaid(seen)).map(({ name }) => name)
  return {
    id: "process/charges",
    what: "Every update names a charge before it, and the privacy ledger adds up to these charges",
    value: `${updates} updates on ${charges} charges${unpaid.length === 0 ? "" : `, not so at ${unpaid.join(" and ")}`}`,
    bound: "all",
    holds: unpaid.length === 0,
  }
}

/** How many updates of a facility are of attempts at a model for which it had sent one before. */
export const sentAgain = ({ updates }: Seen): number =>
  updates.length - new Set(updates.map(({ spec }) => toHex(spec.model))).size

/** Whether noise was drawn once for each charge: whatever else was sent on the same charge is the same integers. */
export const onceRow = (facilities: readonly Seen[]): AuditRow => {
  let again = 0
  let differing = 0
  for (const { updates } of facilities)
    for (const [at, update] of updates.entries()) {
      const earlier = updates.slice(0, at).filter(({ ledger }) => ledger === update.ledger)
      if (earlier.length === 0) continue
      again += 1
      const [first] = earlier as [SentUpdate]
      if (first.values.some((value, i) => value !== update.values[i])) differing += 1
    }
  return {
    id: "process/noise-once",
    what: "Updates with other noise than the one that their charge paid for, after kills and attempts made void",
    value: `${differing} of ${again} sent again`,
    bound: "0",
    holds: differing === 0,
  }
}

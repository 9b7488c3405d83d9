import { ConsiliumError } from "@consilium/base/errors"
import { checkDirection, checkHoldOut, FEWEST_OF_A_LABEL, type HoldOut } from "./hold-out.js"

/** Patients that lie next to each other in the order of their logits and get one probability. */
export interface IsotonicBlock {
  readonly lowestLogit: number
  readonly highestLogit: number
  readonly rows: number
  readonly positives: number
}

/** A staircase: probabilities[k] from thresholds[k - 1] (included) to thresholds[k]. */
export interface IsotonicSteps {
  readonly thresholds: Float64Array
  readonly probabilities: Float64Array
}

const joined = (a: IsotonicBlock, b: IsotonicBlock): IsotonicBlock => ({
  lowestLogit: a.lowestLogit,
  highestLogit: b.highestLogit,
  rows: a.rows + b.rows,
  positives: a.positives + b.positives,
})

/** Whether the share of ill patients in a is below that in b, in whole numbers. */
const isLower = (a: IsotonicBlock, b: IsotonicBlock): boolean => a.positives * b.rows < b.positives * a.rows

/** Patients with the same logit as one block each, in rising order. */
const tiedRows = ({ logits, labels }: HoldOut): readonly IsotonicBlock[] => {
  const order = Array.from(logits.keys()).sort((a, b) => (logits[a] as number) - (logits[b] as number))
  const out: IsotonicBlock[] = []
  for (const at of order) {
    const logit = logits[at] as number
    const block = { lowestLogit: logit, highestLogit: logit, rows: 1, positives: labels[at] as number }
    const last = out.at(-1)
    if (last !== undefined && last.highestLogit === logit) out[out.length - 1] = joined(last, block)
    else out.push(block)
  }
  return out
}

/**
 * The rising staircase with the least squared error: neighbours whose shares do not rise are pooled.
 *
 * Math:   argmin over f non-decreasing of sum of (f(z) - y)^2; the value of a block is positives / rows
 * Shape:  one logit and one label a patient; shares rise strictly from block to block
 * Error:  exact: shares are compared in whole numbers
 * Cost:   O(n log n)
 * Source: Ayer, Brunk, Ewing, Reid and Silverman 1955
 */
export const poolAdjacentViolators = (holdOut: HoldOut): readonly IsotonicBlock[] => {
  const blocks: IsotonicBlock[] = []
  for (const next of tiedRows(holdOut)) {
    let block = next
    for (;;) {
      const last = blocks.at(-1)
      if (last === undefined || isLower(last, block)) break
      block = joined(last, block)
      blocks.pop()
    }
    blocks.push(block)
  }
  return blocks
}

/** Joins blocks of fewer than `fewest` rows to the neighbour whose share is nearer; the shares still rise. */
const withoutSmallBlocks = (blocks: readonly IsotonicBlock[], fewest: number): readonly IsotonicBlock[] => {
  const out = [...blocks]
  const share = ({ positives, rows }: IsotonicBlock): number => positives / rows
  for (;;) {
    const small = out.findIndex(({ rows }) => rows < fewest)
    if (small < 0 || out.length === 1) return out
    const block = out[small] as IsotonicBlock
    const left = out[small - 1]
    const right = out[small + 1]
    const toLeft =
      right === undefined || (left !== undefined && share(block) - share(left) <= share(right) - share(block))
    const first = toLeft ? small - 1 : small
    out.splice(first, 2, joined(out[first] as IsotonicBlock, out[first + 1] as IsotonicBlock))
  }
}

/** A number above a and at most b: halfway where a float lies there. */
const between = (a: number, b: number): number => {
  const middle = a / 2 + b / 2
  return middle > a && middle < b ? middle + 0 : b + 0
}

/**
 * Isotonic calibration: the best staircase that rises with the logit, each step standing on at least `fewest` patients.
 * Thresholds lie halfway between the logits of neighbouring blocks.
 *
 * Math:   `poolAdjacentViolators`; then blocks under `fewest` rows are joined to the nearer neighbour. With fewest = 1 it is
 *         the least-squares fit itself
 * Source: Zadrozny and Elkan 2002
 * @throws {ConsiliumError} "inference/bad-hold-out" on fewer than 5 patients of a label or logits that do not rise with the
 *   disease, "learning/bad-setting" if fewest is no whole number of at least 1
 */
export const fitIsotonic = (holdOut: HoldOut, fewest: number = FEWEST_OF_A_LABEL): IsotonicSteps => {
  if (!Number.isSafeInteger(fewest) || fewest < 1)
    throw new ConsiliumError(
      "learning/bad-setting",
      `A step of a calibration is to stand on at least ${fewest} patients; a whole number from 1 on was expected.`,
    )
  checkHoldOut(holdOut)
  checkDirection(holdOut)
  const blocks = withoutSmallBlocks(poolAdjacentViolators(holdOut), fewest)
  return {
    thresholds: Float64Array.from(blocks.slice(1), ({ lowestLogit }, k) =>
      between((blocks[k] as IsotonicBlock).highestLogit, lowestLogit),
    ),
    probabilities: Float64Array.from(blocks, ({ positives, rows }) => positives / rows),
  }
}

import { ConsiliumError } from "@consilium/base/errors"
import { clippedRow } from "./clipped-row.js"
import { addWhole, checkRows, gridSensitivity } from "./clipped-sum.js"
import { mustBeCount, mustBePositive } from "./events.js"
import { checkStep } from "./grid.js"
import { UPWARD } from "./mechanism.js"

/** Coordinates that follow each other in a row and are clipped together: a layer's weights, say. */
export interface Layer {
  /** How many coordinates. */
  readonly size: number
  /** L2 norm to which they are clipped, in units of the rows. */
  readonly maxNorm: number
}

/** How rows are clipped layer by layer and put on one grid. */
export interface LayerGrid {
  /** In the order of the coordinates; their sizes add up to the length of a row. */
  readonly layers: readonly Layer[]
  /** Grid step, a power of two, in units of the rows. */
  readonly step: number
}

/** @throws {ConsiliumError} "privacy/bad-parameter" */
const checkLayers = (layers: readonly Layer[]): void => {
  if (layers.length === 0)
    throw new ConsiliumError("privacy/bad-parameter", "Clipping by layers needs at least one layer.")
  for (const { size, maxNorm } of layers) {
    mustBeCount("The size of a layer", size, 1)
    mustBePositive("The norm of a layer", maxNorm)
  }
}

/** The norm that layers of these norms have together: the root of the sum of squares. */
export const wholeNorm = (norms: readonly number[]): number =>
  Math.sqrt(norms.reduce((sum, norm) => sum + norm * norm, 0))

/**
 * Largest L2 norm, in steps, of a row that was clipped layer by layer and rounded to the grid.
 *
 * Math:   sqrt(sum over layers of (C_l / step + sqrt(d_l) / 2)^2); at most that of the whole row clipped to the root of
 *         the sum of C_l^2
 * Units:  steps; neighbours by adding or removing one row
 * Source: McMahan, Ramage, Talwar and Zhang 2018 (arXiv:1710.06963), section 2.2, per-layer clipping; on the grid as `clippedSum`
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const layerSensitivity = ({ layers, step }: LayerGrid): number => {
  checkLayers(layers)
  return (
    wholeNorm(layers.map(({ size, maxNorm }) => gridSensitivity({ maxNorm, dimension: size, step }))) * UPWARD
  )
}

/**
 * The sum of rows, each layer of each clipped to its own norm and rounded to the grid, in whole steps.
 *
 * Shape:  rows as long as all layers together; the result alike, whole numbers held in doubles
 * Units:  rows and norms alike; the result in steps; neighbours by adding or removing one row
 * Timing: depends on the rows, which are the facility's own
 * Source: as `layerSensitivity`
 * @throws {ConsiliumError} "privacy/bad-parameter" as `clippedSum`
 */
export const layerClippedSum = (rows: readonly Float64Array[], grid: LayerGrid): Float64Array => {
  const { layers, step } = grid
  checkStep(step)
  const sensitivity = layerSensitivity(grid)
  const dimension = layers.reduce((sum, { size }) => sum + size, 0)
  checkRows(rows, dimension, sensitivity)
  const sum = new Float64Array(dimension)
  for (const row of rows) {
    let from = 0
    for (const { size, maxNorm } of layers) {
      const part = row.slice(from, from + size)
      const sensitivityOfPart = gridSensitivity({ maxNorm, dimension: size, step })
      addWhole(
        clippedRow(part, { norm: "l2", maxNorm, step, sensitivity: sensitivityOfPart }).whole,
        sum,
        from,
      )
      from += size
    }
  }
  return sum
}

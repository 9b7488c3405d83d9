import { type RandomSource, uniformUnit } from "@consilium/base/random"
import { invertDense, nearestError } from "@consilium/federation/attacks/inversion"
import type { Study } from "@consilium/federation/study"
import type { Examples } from "@consilium/learning/data"
import { initialNetwork } from "@consilium/learning/network/network"
import { attackedStudy, trainedUpdate } from "./attacked-training.js"
import { figure, median, NEAR, noneNear, share, told } from "./figures.js"
import { rowOf } from "./heart-rows.js"
import type { SectionBuilder } from "./section.js"

const SIDE = 12
const UNITS = 32
const TRIES = 20
const BATCH = 8
const EPSILON = 2
/** A pixel of a display has 256 steps. */
const PIXEL = 1 / 255

/** Pictures of a few bright spots on a dark ground: every pixel a number in [0, 1]. */
const pictures = (count: number, random: RandomSource): Examples => {
  const features = new Float64Array(count * SIDE * SIDE)
  for (let picture = 0; picture < count; picture++)
    for (let spot = 0; spot < 4; spot++) {
      const [x, y, radius] = [0, 0, 0].map(() => uniformUnit(random)) as [number, number, number]
      for (let row = 0; row < SIDE; row++)
        for (let column = 0; column < SIDE; column++) {
          const far = (row / SIDE - y) ** 2 + (column / SIDE - x) ** 2
          const at = (picture * SIDE + row) * SIDE + column
          const light = Math.max(0, 1 - far / (0.05 + 0.1 * radius))
          features[at] = Math.min(1, (features[at] as number) + light)
        }
    }
  return {
    rows: count,
    columns: SIDE * SIDE,
    features,
    labels: Uint8Array.from({ length: count }, (_, i) => i % 2),
  }
}

/** Attacks that read pictures out of updates of a network whose first layer is dense. */
export const pictureSection: SectionBuilder = async (options) => {
  options.progress("reading pictures out of a network's updates")
  const random = options.random("pictures")
  const layer = { inputs: SIDE * SIDE, outputs: UNITS }
  const features = Array.from({ length: layer.inputs }, (_, j) => `pixel${j}`)
  const layers = [
    { kind: "dense" as const, outputs: UNITS },
    { kind: "relu" as const },
    { kind: "dense" as const, outputs: 1 },
  ]
  const study = (batchSize: number, privacy: { epsilon: number; sampleRate: number } | null) =>
    attackedStudy(
      {
        features,
        network: { kind: "network", features, layers },
        steps: 1,
        learningRate: 1,
        batchSize,
        privacy,
      },
      random,
    )
  const errorsOf = (of: Study, count: number): readonly number[] => {
    const { model } = of
    if (model.kind !== "network") throw new Error("A picture study trains a network.")
    return Array.from({ length: TRIES }, () => {
      const examples = pictures(count, random)
      const parameters = Float64Array.from(initialNetwork(model.description, random).parameters)
      const found = invertDense(trainedUpdate({ study: of, examples, parameters, random }), layer)
      const records = found.map(({ record }) => record)
      return Array.from({ length: count }, (_, row) => nearestError(records, rowOf(examples, row)))
    }).flat()
  }
  const single = errorsOf(study(1, null), 1)
  const batch = errorsOf(study(BATCH, null), BATCH)
  const noisy = errorsOf(study(1, { epsilon: EPSILON, sampleRate: 1 }), 1)
  const seen = (errors: readonly number[], within: number): number =>
    errors.filter((error) => error <= within).length
  return {
    title: `Reading pictures out of a network's updates: ${SIDE} x ${SIDE} pixels, first layer dense`,
    rows: [
      {
        id: "pictures/unprotected",
        what: "without protection, a batch of one: pictures found with every pixel right to 1/255",
        value: `${share(seen(single, PIXEL), single.length)}; worst pixel ${figure(Math.max(...single))}`,
        bound: "all",
        holds: seen(single, PIXEL) === single.length,
      },
      told(
        {
          id: "pictures/batch",
          what: `without protection, batches of ${BATCH}: pictures found with every pixel right to 1/20`,
        },
        share(seen(batch, 1 / 20), batch.length),
      ),
      noneNear(
        {
          id: "pictures/private",
          what: `with differential privacy (epsilon ${EPSILON}), one picture alone: pictures found to ${NEAR}`,
        },
        noisy,
      ),
      told(
        {
          id: "pictures/private-error",
          what: "the same: error of the worst pixel, in the middle of all tries (pixels lie in [0, 1])",
        },
        figure(median(noisy)),
      ),
    ],
  }
}

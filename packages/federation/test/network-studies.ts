import { insecureSeededRandom } from "@consilium/base/testing"
import type { Examples } from "@consilium/learning/data"
import type { NetworkDescription } from "@consilium/learning/network/description"
import type { StudyNetwork } from "../src/study-model.js"
import type { StudyChanges } from "./members.js"

/** A hidden layer of four on the three columns of the toy records. */
export const TINY_TABLE_NETWORK: StudyNetwork = {
  kind: "network",
  features: ["a", "b", "c"],
  description: {
    input: [3],
    layers: [{ kind: "dense", outputs: 4 }, { kind: "relu" }, { kind: "dense", outputs: 1 }],
    loss: "sigmoid-cross-entropy",
  },
  images: null,
}

const CONVOLUTIONAL: NetworkDescription = {
  input: [6, 6, 1],
  layers: [
    { kind: "conv2d", channels: 2, size: [3, 3], stride: [1, 1], padding: [0, 0, 0, 0] },
    { kind: "relu" },
    { kind: "max-pool", size: [2, 2], stride: [2, 2] },
    { kind: "flatten" },
    { kind: "dense", outputs: 1 },
  ],
  loss: "sigmoid-cross-entropy",
}

/** A convolution on images of 6 x 6: 29 parameters. */
export const TINY_IMAGE_NETWORK: StudyNetwork = {
  kind: "network",
  features: [],
  description: CONVOLUTIONAL,
  images: { classes: ["dark", "bright"], means: [0.5], deviations: [0.25] },
}

/** What makes a test study train a tiny network on images. */
export const onImages = (changes: StudyChanges = {}): StudyChanges => ({
  ...changes,
  model: TINY_IMAGE_NETWORK,
  training: { optimiser: "adam", learningRate: 0.02, batchSize: 4, ...changes.training },
})

/** Images of 6 x 6, the bright ones brighter in the middle; each facility has others. */
export const tinyImages = (facility: string, rows: number): Examples => {
  const random = insecureSeededRandom(facility, "images")
  const draw = (): number => (random.bytes(1)[0] as number) / 128 - 1
  const labels = Uint8Array.from({ length: rows }, (_, i) => i % 2)
  const features = new Float64Array(36 * rows)
  for (let row = 0; row < rows; row++)
    for (let at = 0; at < 36; at++) {
      const middle = at % 6 > 1 && at % 6 < 4 && at > 11 && at < 24
      features[36 * row + at] = draw() + (middle && labels[row] === 1 ? 1.5 : 0)
    }
  return { rows, columns: 36, features, labels }
}

import { trainAdam } from "@consilium/learning/adam"
import { predictLogits } from "@consilium/learning/logistic"
import { auc } from "@consilium/learning/metrics"
import { publicStream } from "@consilium/learning/public-stream"
import type { Split } from "@consilium/records/split"
import { describe, expect, it } from "vitest"
import { intervalsOf } from "../../src/training/activation-bounds.js"
import {
  type EncryptableActivation,
  SIGMOID_CUBIC,
  SQUARE_ACTIVATION,
} from "../../src/training/activations.js"
import { networkReach } from "../../src/training/within-limits.js"
import { aucOf, LOGIT_LIMIT, trainedFreely, trainedWithin } from "../encryption-training.js"
import { clevelandRows, heartRanges, syntheticRows, withoutCleveland } from "../heart-rows.js"

const SEEDS = ["a", "b", "c", "d", "e"]
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length
const inputs = intervalsOf(heartRanges())

const logisticAuc = ({ train, test }: Split): number => {
  const { parameters } = trainAdam({
    architecture: { kind: "logistic-regression", inputs: 13 },
    parameters: new Float64Array(14),
    examples: train,
    epochs: 100,
    batchSize: 32,
    learningRate: 0.01,
    random: publicStream("logistic regression"),
  })
  return auc(predictLogits(parameters, test), test.labels)!
}

/** Means over the seeds: AUC of held-out patients, and how far the networks go over the declared ranges at most. */
const measured = ({ train, test }: Split, activation: EncryptableActivation) => {
  const free = SEEDS.map((seed) => trainedFreely(train, activation, seed))
  const held = SEEDS.map((seed) => trainedWithin(train, activation, seed))
  const farthest = (reaches: readonly { readonly activation: number; readonly logit: number }[]) => ({
    activation: Math.max(...reaches.map((reach) => reach.activation)),
    logit: Math.max(...reaches.map(({ logit }) => logit)),
  })
  return {
    free: {
      auc: mean(free.map((network) => aucOf(network, test))),
      ...farthest(free.map((network) => networkReach(network, inputs))),
    },
    held: {
      auc: mean(held.map(({ network }) => aucOf(network, test))),
      ...farthest(held.map(({ reach }) => reach)),
    },
    scaled: held.reduce((sum, { scaled }) => sum + scaled, 0),
  }
}

describe.each<readonly [string, string, () => Split]>([
  ["UCI Cleveland", withoutCleveland, clevelandRows],
  ["600 made-up patients", "", () => syntheticRows(200, "inference")],
])("13-16-1 on %s%s", (_, skipped, rows) => {
  it.skipIf(skipped !== "").each([
    ["square", SQUARE_ACTIVATION],
    ["cubic", SIGMOID_CUBIC],
  ] as const)(
    "%s units: within their limits, and no worse than logistic regression by more than .03",
    (name, activation) => {
      const split = rows()
      const logistic = logisticAuc(split)
      const { free, held, scaled } = measured(split, activation)
      console.log(
        JSON.stringify({ name, patients: [split.train.rows, split.test.rows], logistic, free, held, scaled }),
      )
      expect(held.activation).toBeLessThanOrEqual(activation.interval)
      expect(held.logit).toBeLessThanOrEqual(LOGIT_LIMIT)
      expect(scaled).toBe(0)
      expect(held.auc).toBeGreaterThan(logistic - 0.03)
      expect(held.auc).toBeGreaterThan(free.auc)
      expect(free.activation).toBeGreaterThan(3 * activation.interval)
    },
  )
})

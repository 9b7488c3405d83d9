import { sigmoid } from "@consilium/learning/math"
import { HEART_DECLARED_STANDARDISER } from "@consilium/records/heart-schema"
import type { LabelledRows } from "@consilium/records/rows"
import { standardise } from "@consilium/records/standardise"
import { describe, expect, it } from "vitest"
import { heartData } from "../src/infer/heart-data.js"
import { type Trained, trainLinear, trainNetworks } from "../src/infer/training.js"

const rowsOf = async (simulate: number): Promise<LabelledRows> =>
  (await heartData({ simulate, seed: 3 }, "train")).rows

/** The largest slope of the mean loss along a weight or the bias. */
const slopeAt = ({ logits }: Trained, rows: LabelledRows): number => {
  const { features } = standardise(HEART_DECLARED_STANDARDISER, rows)
  const off = Array.from(
    logits(rows),
    (logit, i) => (sigmoid(logit) - (rows.labels[i] as number)) / rows.rows,
  )
  const slopes = Array.from({ length: rows.columns }, (_, j) =>
    off.reduce((sum, error, i) => sum + error * (features[i * rows.columns + j] as number), 0),
  )
  const bias = off.reduce((sum, error) => sum + error, 0)
  return Math.max(...[bias, ...slopes].map(Math.abs))
}

describe("a logistic regression", () => {
  it.each([
    [200, 1e-5],
    [1500, 5e-3],
  ])("of %i rows ends where no weight would lower the loss by much", async (count, most) => {
    const rows = await rowsOf(count)
    expect(slopeAt(trainLinear(rows, 1), rows)).toBeLessThan(most)
  })
})

describe("networks", () => {
  it("are written with the numbers that they were trained to, and differ by their training alone", async () => {
    const rows = await rowsOf(200)
    const [held, free, plain] = trainNetworks(rows, 1)
    for (const one of [held, free])
      expect(one?.written?.model).toMatchObject({
        kind: "network",
        layers: [{ kind: "dense" }, { kind: "square" }, { kind: "dense" }],
      })
    expect(plain?.written).toBe(null)
    const again = trainNetworks(rows, 1)
    for (const [i, one] of [held, free, plain].entries())
      expect(again[i]?.logits(rows)).toEqual(one?.logits(rows))
  })
})

import { insecureSeededRandom } from "@consilium/base/testing"
import { type Architecture, initialParameters } from "@consilium/learning/architecture"
import { startCursor } from "@consilium/learning/batches"
import { type CyclicTraining, cyclic } from "@consilium/learning/cyclic"
import { trainLocally } from "@consilium/learning/train"
import { describe, expect, it } from "vitest"
import { randomExamples } from "./tables.js"

const architecture: Architecture = { kind: "logistic-regression", inputs: 3 }
const tables = [9, 14, 5].map((rows, i) => randomExamples(insecureSeededRandom(i, "rows"), rows, 3))
const given = (change: Partial<CyclicTraining> = {}): CyclicTraining => ({
  architecture,
  parameters: initialParameters(architecture, insecureSeededRandom(1, "initial")),
  facilities: tables,
  visits: 6,
  steps: 4,
  batchSize: 3,
  learningRate: 0.1,
  order: "given",
  random: insecureSeededRandom(1, "cyclic"),
  ...change,
})

describe("cyclic weight transfer", () => {
  it("hands one model on from facility to facility, each going on in its own pass over its rows", () => {
    const random = insecureSeededRandom(1, "cyclic")
    let w = given().parameters
    const cursors = tables.map(startCursor)
    for (const at of [0, 1, 2, 0, 1, 2]) {
      const trained = trainLocally({
        architecture,
        parameters: w,
        examples: tables[at] as (typeof tables)[number],
        steps: 4,
        batchSize: 3,
        learningRate: 0.1,
        cursor: cursors[at] as ReturnType<typeof startCursor>,
        random,
      })
      w = trained.parameters
      cursors[at] = trained.cursor
    }
    expect([...cyclic(given())]).toEqual([...w])
  })

  it("at one facility is training there, visit after visit", () => {
    const [table] = tables as [(typeof tables)[number]]
    const alone = cyclic(given({ facilities: [table], visits: 3 }))
    const local = trainLocally({
      ...given(),
      examples: table,
      steps: 12,
      cursor: startCursor(),
      random: insecureSeededRandom(1, "cyclic"),
    })
    expect([...alone]).toEqual([...local.parameters])
  })

  it("shuffled takes another order every time through, the same one for the same seed, each facility once", () => {
    // facilities whose rows pull one parameter each, so the model tells who was visited
    const marked = [0, 1, 2].map((column) => ({
      rows: 1,
      columns: 3,
      features: Float64Array.from({ length: 3 }, (_, j) => (j === column ? 1 : 0)),
      labels: Uint8Array.of(1),
    }))
    const visited = (seed: number, visits: number): string => {
      const w = cyclic(
        given({
          facilities: marked,
          parameters: new Float64Array(4),
          order: "shuffled",
          visits,
          steps: 1,
          batchSize: 1,
          random: insecureSeededRandom(seed, "order"),
        }),
      )
      return [0, 1, 2].filter((j) => (w[j] as number) !== 0).join("")
    }
    const firsts = new Set(Array.from({ length: 20 }, (_, seed) => visited(seed, 1)))
    expect(firsts.size).toBe(3)
    for (let seed = 0; seed < 5; seed++) {
      expect(visited(seed, 3)).toBe("012")
      expect(visited(seed, 2)).toBe(visited(seed, 2))
    }
  })

  it("writes to no input, and without a visit gives the model back", () => {
    const work = given()
    const before = work.parameters.slice()
    cyclic(work)
    expect(work.parameters).toEqual(before)
    expect(cyclic(given({ visits: 0 }))).toEqual(before)
  })

  it("is refused without facilities, without rows and for half a visit", () => {
    const empty = randomExamples(insecureSeededRandom(1, "rows"), 0, 3)
    expect(() => cyclic(given({ facilities: [] }))).toThrow("There are no facilities to go through.")
    expect(() => cyclic(given({ facilities: [empty] }))).toThrow()
    expect(() => cyclic(given({ visits: 1.5 }))).toThrow()
  })
})

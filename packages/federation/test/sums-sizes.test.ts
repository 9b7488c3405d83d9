import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { isKeyed, type Protection } from "../src/study.js"
import type { ProtectedUpdate } from "../src/sums/facility/facility-scheme.js"
import { maskedParameters, thresholdParameters } from "../src/sums/lattice-parameters.js"
import { directoryOf, testStudy } from "./members.js"
import { answerAll, protectAll, sumScene, those, updatesOf } from "./sum-runs.js"

/** What sealing adds: an ephemeral key and a tag. */
const SEAL = 48
/** What stands around the polynomials of a payload: a tag of the sum and a check. */
const FRAME = 24

interface Sizes {
  /** To the parent. */
  readonly up: number
  /** To each of the others. */
  readonly part: number
  /** Of an answer. */
  readonly opening: number
}

/** Bytes that a facility of five sends. */
const sizesOf = (protection: Protection, values: number): Sizes => {
  const scene = sumScene(protection, 5, values)
  const sent = protectAll(scene, updatesOf(["clinic-1", "clinic-2"], values, "random"))
  const { payload, parts } = sent.updates.get("clinic-1") as ProtectedUpdate
  const [part, ...others] = new Set(parts.map(({ sealed }) => sealed.length))
  const [opening, ...unlike] = new Set(answerAll(scene, sent).partials.map((p) => p.opening.length))
  expect([...others, ...unlike]).toEqual([])
  expect(parts).toHaveLength(part === undefined ? 0 : 4)
  return { up: payload?.length ?? 0, part: part ?? 0, opening: opening ?? 0 }
}

describe("bytes on the way", () => {
  it.each([1, 1000, 4097])("are what each protection takes for %d values", (values) => {
    expect(sizesOf("plain", values)).toEqual({ up: 4 * values, part: 0, opening: 0 })
    expect(sizesOf("shamir", values)).toEqual({ up: 0, part: 8 * (values + 2) + SEAL, opening: 8 * values })
    for (const protection of ["ckks", "bfv"] as const) {
      const { blocks, ring } = thresholdParameters(sumScene(protection, 5, values).setting)
      const row = FRAME + blocks * ring.packedLength
      expect(sizesOf(protection, values)).toEqual({ up: row, part: 0, opening: row })
    }
    const { blocks, ring, keyRing } = maskedParameters(sumScene("masked", 5, values).setting)
    const key = FRAME + keyRing.packedLength
    const up = FRAME + blocks * ring.packedLength
    expect(sizesOf("masked", values)).toEqual({ up, part: key + SEAL, opening: key })
  })

  it("in numbers, for the smallest model and for a large one", () => {
    const table = (values: number) =>
      Object.fromEntries(
        those(() => true).map((protection) => {
          const { up, part, opening } = sizesOf(protection, values)
          return [protection, `${up} up, ${part} to each, ${opening} to open`]
        }),
      )
    expect([table(15), table(4096)]).toMatchInlineSnapshot(`
      [
        {
          "bfv": "39960 up, 0 to each, 39960 to open",
          "ckks": "39960 up, 0 to each, 39960 to open",
          "masked": "6936 up, 6728 to each, 6680 to open",
          "plain": "60 up, 0 to each, 0 to open",
          "shamir": "0 up, 184 to each, 120 to open",
        },
        {
          "bfv": "39960 up, 0 to each, 39960 to open",
          "ckks": "39960 up, 0 to each, 39960 to open",
          "masked": "13336 up, 6728 to each, 6680 to open",
          "plain": "16384 up, 0 to each, 0 to open",
          "shamir": "0 up, 32832 to each, 32768 to open",
        },
      ]
    `)
  })
})

/** A million values of ten facilities, as in the README of the lattice package. */
describe("a long vector", () => {
  const readme = readFileSync(new URL("../../lattice/README.md", import.meta.url), "utf8")
  const numbersIn = (text: string | undefined): readonly number[] =>
    [...(text ?? "").matchAll(/\d[\d,]*(?:\.\d+)?/g)].map(([number]) => Number(number.replaceAll(",", "")))
  /** What the README says that a form takes: up, and to open. */
  const stated = (form: string) => {
    const row = readme.split("\n").find((line) => line.startsWith(`| ${form} `))
    const [, , , , up, open] = (row ?? "").split("|")
    return { up: numbersIn(up), open: numbersIn(open) }
  }
  const VALUES = 1_000_000
  const parametersFor = (protection: Protection) => {
    const study = testStudy(10, {
      protection,
      model: { features: new Array<string>(VALUES - 1).fill("x") },
      quantisation: { weights: "equal", largestWeight: 1 },
    })
    const directory = directoryOf(testStudy(10), 10, 2)
    return isKeyed(study) ? thresholdParameters({ study, directory }) : maskedParameters({ study, directory })
  }
  const perValue = (protection: Protection): number => {
    const { blocks, ring } = parametersFor(protection)
    return (FRAME + blocks * ring.packedLength) / VALUES
  }
  const rounded = (value: number): number => Math.round(10 * value) / 10

  it("takes what the README says under masks", () => {
    const parameters = parametersFor("masked")
    const key = "keyRing" in parameters ? FRAME + parameters.keyRing.packedLength : 0
    expect(stated("masked")).toEqual({ up: [rounded(perValue("masked")), key], open: [key] })
  })

  it("takes what the README says under keys, and one part in fifty more where a study floods more", () => {
    for (const protection of ["ckks", "bfv"] as const) {
      const { up, open } = stated(`threshold, "${protection}"`)
      expect(up).toHaveLength(1)
      expect(open).toEqual(up)
      const [least] = up as [number]
      expect(perValue(protection)).toBeGreaterThan(least - 0.05)
      expect(perValue(protection)).toBeLessThan(1.02 * least)
    }
  })
})

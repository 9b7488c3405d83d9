import { toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import type { RingOptions } from "../../src/ring/ring.js"
import { contextOf, SCHEMES, vectorsOf } from "../sum-schemes.js"

/** Digests of all that two facilities send in one small sum, by scheme. */
export const sumVectors = (
  options: RingOptions,
): Readonly<Record<string, Readonly<Record<string, string>>>> =>
  Object.fromEntries(
    Object.entries(SCHEMES).map(([name, make]) => {
      const scheme = make({ facilities: 3, threshold: 2, values: 500, largest: 1000 }, "vectors", options)
      const { vectors } = vectorsOf(2, 500, 1000, "random", "vectors")
      const context = contextOf()
      const [one, two] = [1, 3].map((point, i) =>
        scheme.protect(context, point, vectors[i] as Int32Array),
      ) as [Uint8Array, Uint8Array]
      const answer = (point: number) => scheme.answer(context, [1, 3], [1, 2], point)
      const of = (bytes: Uint8Array): string => toHex(sha256(bytes))
      return [
        name,
        {
          one: of(one),
          two: of(two),
          sum: of(scheme.add(context, [one, two])),
          first: of(answer(1)),
          second: of(answer(2)),
        },
      ]
    }),
  )

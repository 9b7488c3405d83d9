import { ConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ckks } from "../src/ckks/ckks.js"
import type { CkksCiphertext } from "../src/ckks/evaluator.js"
import type { CkksOperations } from "../src/ckks/operations.js"
import type { CipherShape, PlainShape } from "../src/ckks/rules.js"

const ctx = ckks({ degree: 4096, bits: [27, 26, 26, 26], special: 1, scale: 2 ** 26 })
const random = insecureSeededRandom("simulator")
const secret = ctx.newSecret(random)
const full = ctx.evaluator({
  relinearisation: ctx.relinearisationKey(secret, random),
  galois: [...ctx.rotationKeys(secret, [1, 2], random), ctx.conjugationKey(secret, random)],
})
const fullShapes = ctx.simulator({ relinearisation: true, rotations: [1, 2], conjugation: true })

/** One step of a computation: what it does with the two values it has. */
const step = fc.oneof(
  fc.constantFrom("add", "subtract", "multiply", "relinearise", "negate", "conjugate", "swap" as const),
  fc.record({ rescale: fc.integer({ min: -1, max: 3 }) }),
  fc.record({ dropTo: fc.integer({ min: -1, max: 3 }) }),
  fc.record({ rotate: fc.integer({ min: -1, max: 3 }) }),
  fc.record({ factor: fc.constantFrom(2, -1, 0.5) }),
  fc.record({
    plain: fc.constantFrom("addPlain", "subtractPlain", "multiplyPlain" as const),
    kind: fc.constantFrom("encode", "encodeCoefficients", "encodeConstant" as const),
    level: fc.option(fc.integer({ min: -1, max: 3 })),
    scale: fc.constantFrom(null, 1, 0.5, 2 ** 26, 2 ** 26 * (1 + 2 ** -45), 2 ** 51, 2 ** 80),
  }),
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type Described = { readonly level: number; readonly scale: number; readonly size: number }
const described = ({ level, scale, size }: Described): Described => ({ level, scale, size })

/** Runs a computation and tells the description of every value on the way, or the code of the error that ended it. */
const trace = <C extends Described, P>(
  operations: CkksOperations<C, P>,
  start: readonly [C, C],
  steps: readonly Step[],
): readonly (Described | string)[] => {
  let [a, b] = start
  const out: (Described | string)[] = []
  for (const now of steps) {
    try {
      if (now === "swap") [a, b] = [b, a]
      else if (now === "add" || now === "subtract" || now === "multiply") a = operations[now](a, b)
      else if (typeof now === "string") a = operations[now as "negate" | "relinearise" | "conjugate"](a)
      else if ("rescale" in now) a = operations.rescale(a, now.rescale)
      else if ("dropTo" in now) a = operations.dropTo(a, now.dropTo)
      else if ("rotate" in now) a = operations.rotate(a, now.rotate)
      else if ("factor" in now) a = operations.multiplyInteger(a, now.factor)
      else {
        const at = { level: now.level ?? a.level, scale: now.scale ?? a.scale }
        const plain =
          now.kind === "encodeConstant"
            ? operations.encodeConstant(0.001, at)
            : operations[now.kind]([0.001], at)
        a = operations[now.plain](a, plain)
      }
      out.push(described(a))
    } catch (error) {
      // what failed has changed nothing: the computation goes on with what there was
      if (!(error instanceof ConsiliumError)) throw error
      out.push(`${error.code}: ${error.message}`)
    }
  }
  return out
}

describe("the simulator", () => {
  it("agrees with the evaluator on every step of any computation, errors included", () => {
    const seen = new Set<string>()
    const start = ctx.encrypt([0.5], secret, random)
    const pair: [CkksCiphertext, CkksCiphertext] = [start, start]
    const shape = fullShapes.encrypted()
    fc.assert(
      fc.property(fc.array(step, { minLength: 4, maxLength: 12 }), fc.boolean(), (steps, keys) => {
        const real = trace(keys ? full : ctx, pair, steps)
        const simulated = trace<CipherShape, PlainShape>(
          keys ? fullShapes : ctx.simulator(),
          [shape, shape],
          steps,
        )
        expect(simulated).toEqual(real)
        for (const entry of real) if (typeof entry === "string") seen.add(entry.split(":")[0] as string)
      }),
      { numRuns: 60, seed: 7 },
    )
    expect([...seen].sort()).toEqual([
      "lattice/missing-key",
      "lattice/out-of-range",
      "level/mismatch",
      "level/none-left",
      "scale/mismatch",
      "scale/out-of-range",
    ])
  })

  it("says what does not fit, with the numbers", () => {
    const sim = ctx.simulator()
    const a = sim.encrypted()
    const low = sim.encrypted({ level: 0, scale: 2 ** 14 })
    const messages = [
      () => sim.rescale(low),
      () => sim.rescale(a, 3),
      () => sim.add(a, low),
      () => sim.add(a, sim.encrypted({ scale: 2 ** 27 })),
      () => sim.multiply(sim.multiply(a, a), a),
      () => sim.multiply(low, low),
      () => sim.dropTo(a, 0),
      () => sim.rotate(a, 3),
      () => sim.relinearise(sim.multiply(a, a)),
    ].map((work) => {
      try {
        work()
        return "accepted"
      } catch (error) {
        return error instanceof ConsiliumError ? `${error.code}: ${error.message}` : String(error)
      }
    })
    expect(messages).toMatchInlineSnapshot(`
      [
        "level/none-left: A ciphertext at level 0 cannot give up a prime.",
        "level/none-left: A ciphertext at level 2 cannot give up 3 primes.",
        "level/mismatch: One value is at level 2, the other at level 0.",
        "scale/mismatch: One value has scale 67108864, the other 134217728.",
        "level/mismatch: Products are of ciphertexts of size 2, not 3 and 2; relinearise first.",
        "scale/out-of-range: A scale of 268435456 at level 0 is not in [1, 67088384.5), half the modulus.",
        "scale/out-of-range: A scale of 67108864 at level 0 is not in [1, 67088384.5), half the modulus.",
        "lattice/missing-key: There is no Galois key for 3 steps.",
        "lattice/missing-key: There is no relinearisation key.",
      ]
    `)
  })

  it("takes scales as the same up to 2^-40", () => {
    const sim = ctx.simulator()
    const a = sim.encrypted()
    expect(sim.add(a, sim.encrypted({ scale: ctx.scale * (1 + 2 ** -41) }))).toEqual(a)
    expect(() => sim.add(a, sim.encrypted({ scale: ctx.scale * (1 + 2 ** -39) }))).toThrow("scale")
  })
})

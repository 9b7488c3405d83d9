import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { LaneCodec } from "../src/ring/lane-codec.js"
import { nttPrimes } from "../src/ring/primes.js"
import { ERROR_PAIRS, Ring } from "../src/ring/ring.js"
import { seedOf } from "../src/ring/seeds.js"

// the kernel's memory is nobody's business but this test's, which sees it by watching instances being made
interface Instance {
  readonly exports: { readonly memory: { readonly buffer: ArrayBuffer } }
}
type InstanceMaker = new (module: object, imports: object) => Instance
const { WebAssembly: platform } = globalThis as unknown as { WebAssembly: { Instance: InstanceMaker } }
const made: Instance[] = []
const Original = platform.Instance
platform.Instance = class extends Original {
  constructor(module: object, imports: object) {
    super(module, imports)
    made.push(this)
  }
}
const ring = Ring.of(1024, nttPrimes(1024, 26, 3))
platform.Instance = Original
const [{ exports }] = made as [Instance]
const { memory } = exports

/** Whether any eight words in a row of some numbers stand in the kernel's memory. */
const holds = (numbers: ArrayLike<number>): boolean => {
  const words = new Uint32Array(memory.buffer)
  const places = new Map<number, number[]>()
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number
    if (word === 0) continue
    const known = places.get(word)
    if (known === undefined) places.set(word, [i])
    else known.push(i)
  }
  for (let i = 0; i + 8 <= numbers.length; i += 8)
    for (const at of places.get((numbers[i] as number) >>> 0) ?? [])
      if ([1, 2, 3, 4, 5, 6, 7].every((j) => words[at + j] === (numbers[i + j] as number) >>> 0)) return true
  return false
}
const words = (bytes: Uint8Array): Uint32Array => new Uint32Array(bytes.slice().buffer)

describe("the kernel's memory", () => {
  const random = insecureSeededRandom("erasure")
  const keys: Uint8Array[] = []
  const watched = {
    bytes: (length: number) => {
      const bytes = random.bytes(length)
      keys.push(bytes.slice())
      return bytes
    },
  }

  it("holds no key, secret, error or message after a row", () => {
    const secret = ring.uniformSecret(watched)
    const codec = new LaneCodec(ring, { lanes: 2, laneBits: 24, deltaBits: 20 })
    const vector = Int32Array.from({ length: 2048 }, (_, i) => (i * 7919) % 8_000_001)
    expect(holds(secret)).toBe(false)
    ring.row({
      seed: seedOf("e"),
      secret,
      error: { random: watched, pairs: ERROR_PAIRS },
      message: codec.message(vector, 0),
    })
    const error = ring.centredBinomial({ bytes: () => (keys[1] as Uint8Array).slice() }, ERROR_PAIRS)
    const ternary = ring.ternary(watched)
    for (const [name, numbers] of Object.entries({ secret, vector, error, ternary }))
      expect(holds(numbers), name).toBe(false)
    expect(keys.length).toBe(3)
    for (const key of keys) expect(holds(words(key))).toBe(false)
    codec.decode(codec.encode(vector, 0))
    expect(holds(vector)).toBe(false)
  })

  it("holds operands of arithmetic until it is erased", () => {
    const secret = ring.uniformSecret(watched)
    const small = ring.inverse(secret)
    expect(holds(small)).toBe(true)
    ring.erase()
    expect(holds(small) || holds(secret)).toBe(false)
  })
})

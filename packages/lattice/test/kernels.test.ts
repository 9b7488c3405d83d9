import { toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import type { RingKernel } from "../src/ring/kernel.js"
import { multiplyModulo, powerModulo } from "../src/ring/modular.js"
import { PlainKernel } from "../src/ring/plain-kernel.js"
import { DEGREES, nttPrimes, primitiveRoot } from "../src/ring/primes.js"
import { WasmKernel } from "../src/ring/wasm-kernel.js"
import { schoolbook } from "./reference.js"

const bytesOf = (a: ArrayBufferView): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength)

/** Every operation of a kernel on operands of one seed, with the limbs out of order and one left out. */
const everything = (kernel: RingKernel, label: string): Readonly<Record<string, string>> => {
  const random = insecureSeededRandom("kernels", label)
  const limbs = [2, 0]
  const n = kernel.degree
  const primeOf = (i: number): number => kernel.primes[limbs[Math.floor(i / n)] as number] as number
  const residues = (): Uint32Array => {
    const view = new DataView(random.bytes(8 * n).buffer)
    // the ends of the range at the first places
    return Uint32Array.from({ length: 2 * n }, (_, i) =>
      i % n < 4 ? (primeOf(i) - (i % 2)) % primeOf(i) : view.getUint32(4 * i, true) % primeOf(i),
    )
  }
  const [a, b, c] = [residues(), residues(), residues()]
  const key = random.bytes(32)
  const out: Record<string, string> = {}
  const keep = (name: string, result: ArrayBufferView): void => {
    out[name] = toHex(sha256(bytesOf(result)))
  }
  const poly = (name: string, work: (into: Uint32Array) => void): Uint32Array => {
    const into = new Uint32Array(2 * n)
    work(into)
    keep(name, into)
    expect(kernel.isReduced(limbs, into), name).toBe(true)
    return into
  }
  poly("forward", (into) => kernel.forward(limbs, a, into))
  poly("inverse", (into) => kernel.inverse(limbs, a, into))
  poly("add", (into) => kernel.add(limbs, a, b, into))
  poly("subtract", (into) => kernel.subtract(limbs, a, b, into))
  poly("negate", (into) => kernel.negate(limbs, a, into))
  poly("multiply", (into) => kernel.multiply(limbs, a, b, into))
  poly("multiplyAdd", (into) => kernel.multiplyAdd(limbs, a, b, c, into))
  const quotients = new Uint32Array(2 * n)
  kernel.prepare(limbs, b, quotients)
  keep("prepare", quotients)
  poly("multiplyPrepared", (into) => kernel.multiplyPrepared(limbs, a, b, quotients, into))
  expect(out.multiplyPrepared).toBe(out.multiply)
  const factors = Uint32Array.of((kernel.primes[2] as number) - 1, 12_345)
  poly("scale", (into) => kernel.scale(limbs, a, factors, into))
  for (const g of [1, 3, 5, n + 1, 2 * n - 1]) {
    poly(`automorphism ${g}`, (into) => kernel.automorphism(limbs, a, g, into))
    poly(`automorphism of values ${g}`, (into) => kernel.automorphismOfEvaluations(limbs, a, g, into))
  }
  const numbers = new Int32Array(random.bytes(4 * n).buffer)
  numbers.set([-(2 ** 31), 2 ** 31 - 1, 0, -1, 1])
  const wide = new BigInt64Array(random.bytes(8 * n).buffer)
  wide.set([-(2n ** 63n), 2n ** 63n - 1n, 0n, -1n, 1n, 2n ** 32n])
  const payload = {
    lanes: [
      { values: numbers, factors },
      { values: numbers.toReversed(), factors: Uint32Array.of(0, 1) },
    ],
    wide,
    error: { key, pairs: 44 },
  }
  poly("combine", (into) => kernel.combine(limbs, payload, into))
  poly("combine nothing", (into) => kernel.combine(limbs, {}, into.fill(1)))
  poly("uniform", (into) => kernel.uniform(limbs, key, into))
  const small = new Int32Array(n)
  kernel.ternary(key, small)
  keep("ternary", small)
  for (const pairs of [1, 21, 32, 33, 64]) {
    kernel.centredBinomial(key, pairs, small)
    keep(`binomial ${pairs}`, small)
  }
  const packed = new Uint8Array(
    limbs.reduce((sum, i) => sum + ((32 - Math.clz32(kernel.primes[i] as number)) * n) / 8, 0),
  )
  kernel.pack(limbs, a, packed)
  keep("pack", packed)
  const back = poly("unpack", (into) => expect(kernel.unpack(limbs, packed, into)).toBe(true))
  expect(back).toEqual(a)
  poly("addPacked", (into) => {
    into.set(b)
    expect(kernel.addPacked(limbs, packed, into)).toBe(true)
  })
  expect(out.addPacked).toBe(out.add)
  kernel.row(limbs, key, a, payload, packed)
  keep("row", packed)
  expect([kernel.isWithin(numbers, 5), kernel.isWithin(numbers.subarray(2, 5), 1)]).toEqual([false, true])
  return out
}

describe("the two kernels give the same bytes", () => {
  it.each(DEGREES.filter((degree) => degree <= 4096))("degree %d", (degree) => {
    const primes = [nttPrimes(degree, 26, 1), nttPrimes(degree, 28, 1), nttPrimes(degree, 30, 1)].flat()
    const wasm = new WasmKernel(degree, primes)
    const results = everything(wasm, String(degree))
    expect(results).toEqual(everything(new PlainKernel(degree, primes), String(degree)))
    wasm.erase()
    expect(everything(wasm, String(degree)), "after erase").toEqual(results)
  })

  it.each([8192, 16384])("the transforms of degree %d", (degree) => {
    const primes = nttPrimes(degree, 30, 1)
    const [wasm, plain] = [new WasmKernel(degree, primes), new PlainKernel(degree, primes)]
    const a = new Uint32Array(degree)
    wasm.uniform([0], new Uint8Array(32), a)
    const [x, y] = [new Uint32Array(degree), new Uint32Array(degree)]
    wasm.forward([0], a, x)
    plain.forward([0], a, y)
    expect(x).toEqual(y)
    wasm.inverse([0], x, x)
    expect(x).toEqual(a)
  })

  it.each([26, 27, 28, 29, 30])("lazy reduction holds at the largest residues of %d bits", (bits) => {
    const primes = nttPrimes(1024, bits, 1)
    const q = primes[0] as number
    const [wasm, plain] = [new WasmKernel(1024, primes), new PlainKernel(1024, primes)]
    const top = new Uint32Array(1024).fill(q - 1)
    const alternating = top.map((value, i) => (i % 2 === 0 ? value : 0))
    for (const a of [top, alternating])
      for (const operation of ["forward", "inverse"] as const) {
        const [x, y] = [new Uint32Array(1024), new Uint32Array(1024)]
        wasm[operation]([0], a, x)
        plain[operation]([0], a, y)
        expect(x).toEqual(y)
      }
    const product = new Uint32Array(1024)
    wasm.multiply([0], top, top, product)
    expect(product.every((value) => value === 1)).toBe(true)
  })
})

describe("the transform", () => {
  it("gives the values at psi^(2 r + 1), r = the place with its bits reversed", () => {
    const [q] = nttPrimes(1024, 30, 1) as [number]
    const psi = primitiveRoot(q, 1024)
    const a = new Uint32Array(1024)
    a.set([5, 0, 7, q - 1])
    const out = new Uint32Array(1024)
    new WasmKernel(1024, [q]).forward([0], a, out)
    for (const place of [0, 1, 2, 3, 511, 512, 1000, 1023]) {
      const r = Number.parseInt([...place.toString(2).padStart(10, "0")].reverse().join(""), 2)
      const x = powerModulo(psi, 2 * r + 1, q)
      const [x2, x3] = [powerModulo(x, 2, q), powerModulo(x, 3, q)]
      expect(out[place]).toBe((5 + multiplyModulo(7, x2, q) + multiplyModulo(q - 1, x3, q)) % q)
    }
  })

  it.each([1024, 2048])("multiplies as the schoolbook does, degree %d", (degree) => {
    const primes = [...nttPrimes(degree, 26, 1), ...nttPrimes(degree, 30, 1)]
    const kernel = new WasmKernel(degree, primes)
    const limbs = [0, 1]
    const [a, b, product] = [0, 1, 2].map(() => new Uint32Array(2 * degree)) as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ]
    kernel.uniform(limbs, new Uint8Array(32).fill(1), a)
    kernel.uniform(limbs, new Uint8Array(32).fill(2), b)
    const expected = primes.map((q, i) =>
      schoolbook(a.subarray(i * degree, (i + 1) * degree), b.subarray(i * degree, (i + 1) * degree), q),
    )
    kernel.forward(limbs, a, a)
    kernel.forward(limbs, b, b)
    kernel.multiply(limbs, a, b, product)
    kernel.inverse(limbs, product, product)
    expect(product.subarray(0, degree)).toEqual(expected[0])
    expect(product.subarray(degree)).toEqual(expected[1])
  })
})

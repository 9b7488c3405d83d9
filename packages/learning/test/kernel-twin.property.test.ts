import { insecureSeededRandom } from "@consilium/base/testing"
import { GEMM_SCRATCH, type Kernel } from "@consilium/learning/kernel/kernel"
import { referenceKernel } from "@consilium/learning/kernel/reference-kernel"
import { wasmKernel } from "@consilium/learning/kernel/wasm-kernel"
import fc from "fast-check"
import { describe, expect, it } from "vitest"

/** Numbers of all sizes: ordinary ones, zeros of both signs, subnormal and huge ones. */
const fillNumbers = (to: Float32Array, seed: number): void => {
  const bytes = insecureSeededRandom(seed, "numbers").bytes(4 * to.length)
  const view = new DataView(bytes.buffer)
  const kinds = seed % 3
  for (let i = 0; i < to.length; i++) {
    const bits = view.getUint32(4 * i)
    const unit = (bits >>> 8) / 2 ** 23 - 1
    const kind = bits & 31
    if (kinds === 0 || kind > 5) to[i] = unit * 4
    else if (kind === 0) to[i] = 0
    else if (kind === 1) to[i] = -0
    else if (kind === 2) to[i] = unit * 2 ** -130
    else to[i] = kinds === 1 ? unit * 100 : unit * 2 ** 70
  }
}

interface Call {
  /** Numbers (of 32 bits) of each array; the kernel gets their addresses in this order. */
  readonly arrays: readonly number[]
  /** Bytes whose content has no meaning afterwards; its address comes last. */
  readonly scratch?: number
  readonly prepare?: (kernel: Kernel, addresses: readonly number[]) => void
  readonly run: (kernel: Kernel, addresses: readonly number[]) => unknown
}

/** Runs one call on both kernels; they must leave the same bits everywhere, also where nothing was to be written. */
const same = (call: Call, seed: number): void => {
  const MARGIN = 16
  let at = 64
  const addresses = call.arrays.map((count) => {
    const here = at
    at += 4 * count + MARGIN
    return here
  })
  const numbers = at / 4
  const scratch = Math.ceil(at / 16) * 16
  const all = [...addresses, scratch]
  const found = [wasmKernel, referenceKernel].map((make) => {
    const kernel = make(scratch + (call.scratch ?? 0))
    fillNumbers(kernel.floats.subarray(0, numbers), seed)
    call.prepare?.(kernel, all)
    return { kernel, result: call.run(kernel, all) }
  })
  const [wasm, reference] = found as [(typeof found)[0], (typeof found)[0]]
  expect(wasm.result).toBe(reference.result)
  for (let i = 0; i < numbers; i++)
    if (
      wasm.kernel.integers[i] !== reference.kernel.integers[i] &&
      !(Number.isNaN(wasm.kernel.floats[i]) && Number.isNaN(reference.kernel.floats[i]))
    )
      expect
        .soft({ place: i, value: wasm.kernel.floats[i], addresses })
        .toEqual({ place: i, value: reference.kernel.floats[i], addresses })
}

const seed = fc.nat(1 << 20)
const small = fc.integer({ min: 0, max: 21 })
const some = fc.integer({ min: 1, max: 13 })
const RUNS = { numRuns: 60 }

const forAll = (dimensions: readonly fc.Arbitrary<number>[], make: (...sizes: number[]) => Call): void => {
  fc.assert(
    fc.property(fc.tuple(...dimensions), seed, (sizes, from) => same(make(...sizes), from)),
    RUNS,
  )
}

describe("matrices", () => {
  const starts = fc.integer({ min: 0, max: 3 })
  const gemm = (m: number, n: number, k: number, transposed: number, start: number): Call => ({
    arrays: [m * k + 1, k * n + 1, m * n + 1, m * n + n + 1],
    scratch: GEMM_SCRATCH,
    run(kernel, [a, b, c, s, scratch]) {
      const [aRow, aColumn] = transposed & 1 ? [1, m] : [k, 1]
      const [bRow, bColumn] = transposed & 2 ? [1, k] : [n, 1]
      const from = [0, s, c, s][start] as number
      const step = [0, n, n, 0][start] as number
      kernel.gemm(m, n, k, a!, aRow!, aColumn!, b!, bRow!, bColumn!, c!, n, from, step, scratch!)
    },
  })
  it("gemm, all three products, every start", () =>
    forAll([small, small, small, fc.integer({ min: 0, max: 3 }), starts], gemm))
  it("gemm with more terms than a panel holds", () =>
    fc.assert(
      fc.property(fc.integer({ min: 250, max: 520 }), fc.nat(3), starts, seed, (k, transposed, start, from) =>
        same(gemm(5, 11, k, transposed, start), from),
      ),
      { numRuns: 12 },
    ))
  it("gemm on columns that already lie side by side", () =>
    forAll([small, small, starts], (m, k, start) => gemm(m, 8, k, 1, start)))
  it("matrixVector", () =>
    forAll([small, small, fc.nat(1)], (m, k, start) => ({
      arrays: [m * (k + 1), k, m, 1],
      run: (kernel, [a, x, out, s]) => kernel.matrixVector(m, k, a!, k + 1, x!, out!, start === 0 ? 0 : s!),
    })))
  it("vectorMatrix and columnSums", () =>
    forAll([small, fc.integer({ min: 0, max: 70 })], (m, n) => ({
      arrays: [m * (n + 1), m, n, n],
      run(kernel, [a, x, out, sums]) {
        kernel.vectorMatrix(m, n, x!, a!, n + 1, out!)
        kernel.columnSums(m, n, a!, n + 1, sums!)
      },
    })))
  it("rowSquaredNorms and scaleRows", () =>
    forAll([small, small], (m, k) => ({
      arrays: [m * (k + 1), m, m],
      run(kernel, [a, norms, factors]) {
        kernel.rowSquaredNorms(m, k, a!, k + 1, norms!)
        kernel.scaleRows(m, k, a!, k + 1, factors!)
      },
    })))
  it("gatherRows", () =>
    forAll([small, small, some], (m, n, rows) => ({
      arrays: [rows * n, m, m * n],
      prepare(kernel, [, indices]) {
        for (let i = 0; i < m; i++) kernel.integers[indices! / 4 + i] = (i * 7) % rows
      },
      run: (kernel, [from, indices, to]) => kernel.gatherRows(m, n, from!, indices!, to!),
    })))
  it("integerGemm", () =>
    forAll([small, small, small, fc.nat(3)], (m, n, k, transposed) => ({
      arrays: [Math.ceil((m * k) / 2), Math.ceil((k * n) / 2), m * n],
      scratch: 2 * (m + n) * Math.ceil(k / 8) * 8,
      prepare(kernel, [a, b]) {
        // 21 products of up to 2^13 * 2^13 stay below 2^31
        for (let i = 0; i < m * k; i++) kernel.shorts[a! / 2 + i]! >>= 2
        for (let i = 0; i < k * n; i++) kernel.shorts[b! / 2 + i]! >>= 2
      },
      run(kernel, [a, b, c, scratch]) {
        const [aRow, aColumn] = transposed & 1 ? [1, m] : [k, 1]
        const [bRow, bColumn] = transposed & 2 ? [1, k] : [n, 1]
        kernel.integerGemm(m, n, k, a!, aRow!, aColumn!, b!, bRow!, bColumn!, c!, n, scratch!)
      },
    })))
})

describe("elements", () => {
  it("of one argument", () =>
    forAll([small, fc.nat(3)], (n, degree) => ({
      arrays: [n, n, n, n, n, n, n, n, 4],
      run(kernel, [x, e, l, s, r, p, k, f, c]) {
        kernel.exp(n, x!, e!)
        kernel.log(n, x!, l!)
        kernel.sigmoid(n, x!, s!)
        kernel.relu(n, x!, r!)
        kernel.polynomial(n, x!, c!, degree, p!)
        kernel.scale(n, 0.1, x!, k!)
        kernel.clipFactors(n, r!, 0.7, f!)
        return kernel.sum(n, x!) + kernel.finite(n, x!)
      },
    })))
  it("of two arguments, and in place", () =>
    forAll([small], (n) => ({
      arrays: [n, n, n, n, n, n],
      run(kernel, [x, y, p, s, b, f]) {
        kernel.multiply(n, x!, y!, p!)
        kernel.add(n, x!, y!, s!)
        kernel.addOuterNorms(n, x!, y!, b!)
        kernel.addOuterNorms(n, x!, y!, y!)
        kernel.reluBackward(n, x!, y!, b!)
        kernel.fill(n, 0.3, f!)
        kernel.copy(n, s!, f!)
        kernel.exp(n, x!, x!)
        kernel.relu(n, y!, y!)
      },
    })))
  it("finite tells every infinity and NaN, wherever it stands", () =>
    forAll([some, fc.nat(12), fc.nat(2)], (n, place, kind) => ({
      arrays: [n],
      prepare: (kernel, [x]) => {
        kernel.floats[x! / 4 + (place % n)] = [Infinity, -Infinity, NaN][kind]!
      },
      run: (kernel, [x]) => {
        expect(kernel.finite(n, x!)).toBe(0)
        return kernel.finite(n, x!)
      },
    })))
  it("exp, log and sigmoid over their whole range", () => {
    // every upper half of a bit pattern twice, and the middle of the range closely
    const numbers = new Float32Array(3 << 17)
    const bits = new Int32Array(numbers.buffer)
    for (let i = 0; i < numbers.length; i++)
      if (i < 1 << 17) bits[i] = (i << 15) | (i ^ 0x5a5a)
      else numbers[i] = ((i - (1 << 17)) / (1 << 17) - 1) * 20
    const n = bits.length
    same(
      {
        arrays: [n, n, n, n],
        prepare: (kernel, [x]) => kernel.integers.set(bits, x! / 4),
        run(kernel, [x, e, l, s]) {
          kernel.exp(n, x!, e!)
          kernel.log(n, x!, l!)
          kernel.sigmoid(n, x!, s!)
        },
      },
      1,
    )
  })
})

describe("losses", () => {
  it("sigmoidCrossEntropy and squaredError", () =>
    forAll([small], (n) => ({
      arrays: [n, n, n, n, n, n],
      run(kernel, [z, y, d, l, d2, l2]) {
        kernel.sigmoidCrossEntropy(n, z!, y!, 1 / 3, d!, l!)
        kernel.squaredError(n, z!, y!, 1 / 3, d2!, l2!)
      },
    })))
  it("softmax and softmaxCrossEntropy", () =>
    forAll([small, some], (rows, columns) => ({
      arrays: [rows * columns, rows, rows * columns, rows, rows * columns],
      prepare(kernel, [, classes]) {
        for (let i = 0; i < rows; i++) kernel.floats[classes! / 4 + i] = (5 * i) % columns
      },
      run(kernel, [z, classes, deltas, losses, y]) {
        kernel.softmaxCrossEntropy(rows, columns, z!, classes!, deltas!, losses!)
        kernel.softmax(rows, columns, z!, y!)
      },
    })))
})

describe("images", () => {
  const side = fc.integer({ min: 1, max: 7 })
  const window = fc.integer({ min: 1, max: 4 })
  const stride = fc.integer({ min: 1, max: 3 })
  const pad = fc.integer({ min: 0, max: 5 })
  it("imageToColumns and columnsToImage, any kernel, stride and padding", () =>
    forAll(
      [side, side, some, window, window, stride, stride, pad, pad, pad, pad],
      (h, w, c, kh, kw, sy, sx, top, left, bottom, right) => {
        const oh = Math.max(0, Math.floor((h! + top! + bottom! - kh!) / sy!) + 1)
        const ow = Math.max(0, Math.floor((w! + left! + right! - kw!) / sx!) + 1)
        const columns = oh * ow * kh! * kw! * c!
        return {
          arrays: [h! * w! * c!, columns, h! * w! * c!],
          run(kernel, [image, matrix, back]) {
            kernel.imageToColumns(h!, w!, c!, kh!, kw!, sy!, sx!, top!, left!, oh, ow, image!, matrix!)
            kernel.columnsToImage(h!, w!, c!, kh!, kw!, sy!, sx!, top!, left!, oh, ow, matrix!, back!)
          },
        }
      },
    ))
  it("pooling and its gradients, windows that overlap or leave gaps", () =>
    forAll([fc.nat(3), side, side, some, window, window, stride, stride], (rows, h, w, c, kh, kw, sy, sx) => {
      const [height, width] = [Math.min(kh!, h!), Math.min(kw!, w!)]
      const oh = Math.floor((h! - height) / sy!) + 1
      const ow = Math.floor((w! - width) / sx!) + 1
      const input = rows! * h! * w! * c!
      const output = rows! * oh * ow * c!
      return {
        arrays: [input, output, output, input, output, input],
        run(kernel, [x, y, indices, dx, mean, dmean]) {
          const place = [rows!, h!, w!, c!, height, width, sy!, sx!, oh, ow] as const
          kernel.maxPool(...place, x!, y!, indices!)
          kernel.maxPoolBackward(...place, y!, indices!, dx!)
          kernel.averagePool(...place, x!, 1 / (height * width), mean!)
          kernel.averagePoolBackward(...place, mean!, 1 / (height * width), dmean!)
        },
      }
    }))
  it("maxPool of equals takes the first", () =>
    forAll([some], (c) => ({
      arrays: [4 * c, c, c, 4 * c],
      prepare: (kernel, [x]) => kernel.fill(4 * c, 2, x!),
      run(kernel, [x, y, indices, dx]) {
        kernel.maxPool(1, 2, 2, c, 2, 2, 2, 2, 1, 1, x!, y!, indices!)
        kernel.maxPoolBackward(1, 2, 2, c, 2, 2, 2, 2, 1, 1, y!, indices!, dx!)
        expect([...kernel.floats.subarray(dx! / 4, dx! / 4 + 2 * c)]).toEqual(
          Array.from({ length: 2 * c }, (_, i) => (i < c ? 2 : 0)),
        )
      },
    })))
})

describe("norms and optimisers", () => {
  it("groupNorm and its gradients", () =>
    forAll([fc.nat(3), some, some, fc.integer({ min: 1, max: 3 })], (rows, positions, size, groups) => {
      const c = size! * groups!
      const all = rows! * positions! * c
      return {
        arrays: [all, c, c, all, 2 * rows! * c, all, 2 * rows! * c, all, 2 * rows! * c],
        scratch: 8 * c,
        run(kernel, [x, gamma, beta, y, statistics, dy, slopes, dx, alone, scratch]) {
          const share = 1 / (positions! * size!)
          const place = [rows!, positions!, c, groups!, x!] as const
          kernel.groupNorm(...place, gamma!, beta!, share, 1e-5, y!, statistics!)
          kernel.groupNormBackward(...place, statistics!, gamma!, share, dy!, slopes!, dx!, scratch!)
          kernel.groupNormBackward(...place, statistics!, gamma!, share, dy!, alone!, 0, scratch!)
        },
      }
    }))
  it("sgdStep, momentumStep, adamStep", () =>
    forAll([small], (n) => ({
      arrays: [n, n, n, n, n, n, n],
      prepare(kernel, [, , , , , , v]) {
        for (let i = 0; i < n; i++) kernel.floats[v! / 4 + i]! *= kernel.floats[v! / 4 + i]!
      },
      run(kernel, [g, w0, w1, s, w2, m, v]) {
        kernel.sgdStep(n, w0!, g!, 0.1)
        kernel.momentumStep(n, w1!, g!, s!, 0.1, 0.9)
        kernel.adamStep(n, w2!, g!, m!, v!, 0.01, 0.3, 1e-8, 0.9, 1 - 0.9, 0.999, 1 - 0.999, 1e-4)
      },
    })))
})

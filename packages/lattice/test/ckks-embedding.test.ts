import { insecureSeededRandom } from "@consilium/base/testing"
import { expect, it } from "vitest"
import { Embedding } from "../src/ckks/embedding.js"
import { halfCircle } from "../src/ckks/roots.js"

it.each([8, 1024, 16384])("half a circle of %i roots, to the last bit or two", (n) => {
  const { cos, sin } = halfCircle(n)
  let worst = 0
  for (let k = 0; k < n; k++) {
    const angle = (Math.PI * k) / n
    worst = Math.max(worst, Math.abs((cos[k] as number) - Math.cos(angle)))
    worst = Math.max(worst, Math.abs((sin[k] as number) - Math.sin(angle)))
  }
  expect(worst).toBeLessThan(2 ** -51)
  expect([cos[0], sin[0], cos[n / 2], sin[n / 2]]).toEqual([1, 0, 0, 1])
})

const numbers = (count: number, label: string): Float64Array =>
  Float64Array.from(new Int32Array(insecureSeededRandom(label).bytes(4 * count).buffer), (x) => x / 2 ** 31)

it("slots are the values at the powers of 3 of a root, by the definition", () => {
  const degree = 64
  const coefficients = numbers(degree, "definition")
  const { real, imaginary } = new Embedding(degree).toSlots(coefficients)
  let exponent = 1
  for (let i = 0; i < degree / 2; i++) {
    let [re, im] = [0, 0]
    coefficients.forEach((value, k) => {
      const angle = (Math.PI * ((exponent * k) % (2 * degree))) / degree
      re += value * Math.cos(angle)
      im += value * Math.sin(angle)
    })
    expect(real[i]).toBeCloseTo(re, 12)
    expect(imaginary[i]).toBeCloseTo(im, 12)
    exponent = (exponent * 3) % (2 * degree)
  }
})

it.each([1024, 4096, 16384])("both ways are inverse for degree %i", (degree) => {
  const embedding = new Embedding(degree)
  const [re, im] = [numbers(degree / 2, "re"), numbers(degree / 2, "im")]
  const { real, imaginary } = embedding.toSlots(embedding.toCoefficients(re, im))
  let worst = 0
  for (let i = 0; i < degree / 2; i++) {
    worst = Math.max(worst, Math.abs((real[i] as number) - (re[i] as number)))
    worst = Math.max(worst, Math.abs((imaginary[i] as number) - (im[i] as number)))
  }
  expect(worst).toBeLessThan(2 ** -47)
})

it("products of polynomials are products of slots, rotations are powers of X", () => {
  const degree = 32
  const embedding = new Embedding(degree)
  const [a, b] = [numbers(degree, "a"), numbers(degree, "b")]
  const product = new Float64Array(degree)
  const moved = new Float64Array(degree)
  for (let i = 0; i < degree; i++) {
    for (let j = 0; j < degree; j++) {
      const at = (i + j) % degree
      product[at] = (product[at] as number) + (i + j < degree ? 1 : -1) * (a[i] as number) * (b[j] as number)
    }
    const to = (3 * i) % (2 * degree)
    moved[to % degree] = (to < degree ? 1 : -1) * (a[i] as number)
  }
  const [x, y, z, turned] = [a, b, product, moved].map((p) => embedding.toSlots(p))
  for (let i = 0; i < degree / 2; i++) {
    const [p, q] = [x?.real[i] as number, x?.imaginary[i] as number]
    const [r, s] = [y?.real[i] as number, y?.imaginary[i] as number]
    expect(z?.real[i]).toBeCloseTo(p * r - q * s, 10)
    expect(z?.imaginary[i]).toBeCloseTo(p * s + q * r, 10)
    expect(turned?.real[i]).toBeCloseTo(x?.real[(i + 1) % (degree / 2)] as number, 12)
  }
})

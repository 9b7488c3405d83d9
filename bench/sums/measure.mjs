/**
 * Secure sums, scheme by scheme, one thread, in one run; every sum is checked before its figures are given.
 *
 *     consilium bench sums --values 1000000 --facilities 10 --format json
 */
import { measureMasked, measureThreshold, measureTransform } from "./lattice.mjs"
import { measureNodeSeal } from "./node-seal.mjs"
import { measureShamir } from "./shamir.mjs"

const LARGEST = 32_767

/** What each figure must not exceed at a million values and ten facilities. */
const BARS = {
  "sums.ckks.protect": 250,
  "sums.ckks.up": 7,
  "sums.ckks.opening": 7,
  "sums.ckks.add": 100,
  "sums.bfv.up": 7,
  "sums.bfv.opening": 7,
  "sums.masked.protect": 150,
  "sums.masked.up": 3.5,
  "sums.masked.recipient": 14_336,
  "sums.masked.add": 100,
  "ring.ntt.4096": 25,
}

const compared = (rows) => {
  const bestOf = ({ best, value }) => best ?? value
  const peers = new Map(rows.filter(({ value }) => value !== null).map((row) => [row.id, bestOf(row)]))
  return rows.map((row) => {
    const [, scheme, what] = row.id.split(".")
    const peer = ["ckks", "bfv", "masked"].includes(scheme) ? peers.get(`sums.node-seal.${what}`) : undefined
    const bar = BARS[row.id]
    return {
      ...row,
      ...(bar === undefined ? {} : { bar }),
      ...(peer === undefined ? {} : { peer, ratio: peer / bestOf(row) }),
    }
  })
}

/** All rows. `tell` is called with the name of each part before it starts. */
export const measureSums = async ({ values, facilities, tell = () => {} }) => {
  const threshold = Math.floor((2 * facilities) / 3) + 1
  const demand = { facilities, threshold, values, largest: LARGEST }
  const vectors = Array.from({ length: facilities }, (_, facility) =>
    Int32Array.from({ length: values }, (__, i) => ((i * 7919 + facility * 104_729) % 65_535) - LARGEST),
  )
  const expected = new Int32Array(values)
  for (const vector of vectors) for (let i = 0; i < values; i++) expected[i] += vector[i]
  const rows = []
  const part = async (name, work) => {
    tell(name)
    rows.push(...(await work()))
  }
  await part("ring", () => measureTransform())
  await part("ckks", () => measureThreshold("ckks", demand, vectors, expected))
  await part("bfv", () => measureThreshold("bfv", demand, vectors, expected))
  await part("masked", () => measureMasked("gaussian", demand, vectors, expected))
  await part("masked-uniform", () => measureMasked("uniform", demand, vectors, expected))
  await part("shamir", () => measureShamir(demand, vectors, expected))
  await part("node-seal", () => measureNodeSeal(demand, vectors))
  return compared(rows)
}

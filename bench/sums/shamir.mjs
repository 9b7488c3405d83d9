import { newSecretKey, PrfStream } from "@consilium/base/random"
import { FieldVector } from "@consilium/sharing/field"
import { reconstructShamir, shareShamir } from "@consilium/sharing/shamir"
import { sumOfShares } from "@consilium/sharing/verified"
import { median, mustBeExact, timeRow } from "./timing.mjs"

const RUNS = 3

/** Shamir sums over GF(2^61 - 1): every recipient adds what it got, any t of them open. */
export const measureShamir = async ({ facilities, threshold, values }, vectors, expected) => {
  const random = new PrfStream(newSecretKey(), "bench")
  const points = vectors.map((_, i) => i + 1)
  const share = (vector) => shareShamir(FieldVector.fromIntegers(vector), { threshold, points, random })
  const protecting = await median(RUNS, () => share(vectors[0]))
  // one recipient's shares at a time: all of them at once would take 8 n^2 bytes a value
  const sums = points.map(() => null)
  for (const vector of vectors)
    share(vector).forEach((part, i) => {
      if (i < threshold) sums[i] = sums[i] === null ? part : sumOfShares([sums[i], part])
    })
  const parts = share(vectors[0])
  const adding = await median(RUNS, () => sumOfShares(parts))
  const opened = sums.slice(0, threshold).map((vector, i) => ({ point: i + 1, vector }))
  const decoding = await median(RUNS, () => reconstructShamir(opened, threshold))
  mustBeExact("shamir", decoding.result.toIntegers(), expected)
  const bytes = parts[0].encode().length
  return [
    timeRow("sums.shamir.protect", protecting),
    timeRow("sums.shamir.add", adding),
    timeRow("sums.shamir.decode", decoding),
    { id: "sums.shamir.up", value: (bytes * facilities) / values, unit: "B/value" },
    { id: "sums.shamir.opening", value: bytes / values, unit: "B/value" },
  ]
}

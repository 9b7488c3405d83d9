import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { TokenBuckets } from "../src/api/token-bucket.js"

describe("token buckets", () => {
  it("in no stretch of time give more than the burst and what was refilled in it", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 60 }),
        (burst, perSecond, steps) => {
          let now = 0
          const buckets = new TokenBuckets({ burst, perSecond }, () => now)
          const taken: number[] = []
          for (const step of steps) {
            now += step
            if (buckets.take("a") === 0) taken.push(now)
          }
          for (const [i, from] of taken.entries())
            for (const [j, to] of taken.entries())
              if (j >= i)
                expect(j - i + 1).toBeLessThanOrEqual(burst + ((to - from) * perSecond) / 1000 + 1e-6)
        },
      ),
    )
  })

  it("give a permit after the wait that they name, and not before", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 20 }), (burst, perSecond) => {
        let now = 0
        const buckets = new TokenBuckets({ burst, perSecond }, () => now)
        for (let i = 0; i < burst; i++) expect(buckets.take("a")).toBe(0)
        const wait = buckets.take("a")
        expect(wait).toBe(Math.ceil(1000 / perSecond))
        now += wait - 1
        if (wait > 1) expect(buckets.take("a")).toBeGreaterThan(0)
        now += 1
        expect(buckets.take("a")).toBe(0)
      }),
    )
  })

  it("keep sources apart, remember a bounded number of them, and survive a clock that goes back", () => {
    let now = 1000
    const buckets = new TokenBuckets({ burst: 1, perSecond: 1 }, () => now)
    expect([buckets.take("a"), buckets.take("b")]).toEqual([0, 0])
    expect(buckets.take("a")).toBeGreaterThan(0)
    for (let i = 0; i < 5000; i++) buckets.take(`other ${i}`)
    expect(buckets.take("a")).toBe(0)
    now = 0
    expect(buckets.take("a")).toBeGreaterThan(0)
  })
})

/** The median and the best of some runs of `work`, in milliseconds, and what the last one gave. */
export const median = async (runs, work) => {
  const times = []
  let result
  for (let i = 0; i < runs; i++) {
    const start = performance.now()
    result = await work(i)
    times.push(performance.now() - start)
  }
  times.sort((a, b) => a - b)
  return { ms: times[runs >> 1], best: times[0], result }
}

/** The same of several sides that take turns, so that what else the machine does takes from all alike. The first turn warms up. */
export const inTurns = async (runs, sides) => {
  const times = sides.map(() => [])
  for (let i = 0; i < runs; i++)
    for (const [side, work] of sides.entries()) {
      const start = performance.now()
      await work(i)
      if (i > 0) times[side].push(performance.now() - start)
    }
  return times.map((all) => {
    const sorted = all.sort((a, b) => a - b)
    return { ms: sorted[sorted.length >> 1], best: sorted[0] }
  })
}

/** A row of a time: the median, and the best, which a busy machine disturbs least. */
export const timeRow = (id, { ms, best }) => ({ id, value: ms, unit: "ms", best })

/** Fails the whole bench: figures of a sum that is wrong are worth nothing. */
export const mustBeExact = (what, found, expected) => {
  if (found.length !== expected.length || found.some((value, i) => value !== expected[i]))
    throw new Error(`${what}: the sum is not exact`)
}

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

/** A row of a time: the median, and the best, which a busy machine disturbs least. */
export const timeRow = (id, { ms, best }) => ({ id, value: ms, unit: "ms", best })

/** Fails the whole bench: figures of a sum that is wrong are worth nothing. */
export const mustBeExact = (what, found, expected) => {
  if (found.length !== expected.length || found.some((value, i) => value !== expected[i]))
    throw new Error(`${what}: the sum is not exact`)
}

/** The median of some runs of `work`, in milliseconds, and what the last one gave. */
export const median = async (runs, work) => {
  const times = []
  let result
  for (let i = 0; i < runs; i++) {
    const start = performance.now()
    result = await work(i)
    times.push(performance.now() - start)
  }
  return { ms: times.sort((a, b) => a - b)[runs >> 1], result }
}

/** Fails the whole bench: figures of a sum that is wrong are worth nothing. */
export const mustBeExact = (what, found, expected) => {
  if (found.length !== expected.length || found.some((value, i) => value !== expected[i]))
    throw new Error(`${what}: the sum is not exact`)
}

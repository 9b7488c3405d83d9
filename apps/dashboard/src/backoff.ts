const FIRST_MS = 500
const LONGEST_MS = 15_000

/**
 * Milliseconds until the next attempt to connect: doubling up to a quarter of a minute, spread over half of that so that
 * many pages do not come back in the same moment.
 */
export const reconnectDelay = (failures: number, random: number): number => {
  const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 16))
  return Math.round(whole / 2 + (whole / 2) * random)
}

/**
 * Runs work now, or, if it runs or has begun within the interval, once more after that, however often it was asked for.
 */
export const atMostEvery = (
  intervalMs: number,
  work: () => Promise<void>,
): { readonly ask: () => void; readonly cancel: () => void } => {
  let timer: ReturnType<typeof setTimeout> | undefined
  let [busy, asked, cancelled] = [false, false, false]
  const run = async (): Promise<void> => {
    asked = false
    busy = true
    const rest = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, intervalMs)
    })
    await Promise.allSettled([work(), rest])
    busy = false
    if (asked && !cancelled) void run()
  }
  return {
    ask: () => {
      if (busy) asked = true
      else if (!cancelled) void run()
    },
    cancel: () => {
      cancelled = true
      clearTimeout(timer)
    },
  }
}

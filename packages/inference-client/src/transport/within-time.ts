import { ConsiliumError } from "@consilium/base/errors"

/**
 * Work that ends when one of some signals is given or its time is over.
 * @throws {ConsiliumError} "network/too-slow"; the signal's reason
 */
export const withinTime = async <T>(
  milliseconds: number,
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  for (const signal of signals) signal.throwIfAborted()
  const controller = new AbortController()
  const ends = signals.map((signal) => () => controller.abort(signal.reason))
  signals.forEach((signal, i) => {
    signal.addEventListener("abort", ends[i] as () => void, { once: true })
  })
  const timer = setTimeout(() => controller.abort(tooSlow(milliseconds)), milliseconds)
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    signals.forEach((signal, i) => {
      signal.removeEventListener("abort", ends[i] as () => void)
    })
  }
}

const tooSlow = (milliseconds: number): ConsiliumError =>
  new ConsiliumError("network/too-slow", `The server gave no whole answer within ${milliseconds} ms.`, {
    remedy: "Check the network and the load of the server, or allow more time; then ask again.",
  })

/** What is waited for together with others, left when this signal is given; the others wait on. */
export const unlessAborted = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const end = () => reject(signal.reason)
    signal.addEventListener("abort", end, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", end))
  })

/** A pause, left when the signal is given. */
export const pause = (milliseconds: number, signal: AbortSignal): Promise<void> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const waited = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds)
  })
  return unlessAborted(waited, signal).finally(() => clearTimeout(timer))
}

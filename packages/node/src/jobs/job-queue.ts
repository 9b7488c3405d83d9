/** Work that is done later, one piece after the other. */
export interface JobQueue {
  /** Puts a piece of work at the end; what it throws is its own business. */
  add(work: (signal: AbortSignal) => Promise<void>): void
  /** Ends: work under way is told by its signal, work that waits is not begun. Resolves when nothing runs. */
  close(): Promise<void>
}

/** A queue in this process: work that waits when the process ends is lost. */
export const inProcessQueue = (): JobQueue => {
  const ending = new AbortController()
  let last: Promise<void> = Promise.resolve()
  return {
    add(work) {
      last = last.then(async () => {
        if (!ending.signal.aborted) await work(ending.signal).catch(() => undefined)
      })
    },
    async close() {
      ending.abort()
      await last
    },
  }
}

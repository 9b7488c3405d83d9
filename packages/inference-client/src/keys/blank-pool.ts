import type { HeldBlank } from "./plan-keys.js"

/** Blanks that wait for patients. What is taken is made again when nothing else is to be done. */
export class BlankPool {
  readonly #make: () => Promise<HeldBlank>
  readonly #ready: HeldBlank[] = []
  #wanted = 0
  #making: Promise<void> | null = null
  #refill: ReturnType<typeof setTimeout> | undefined
  #closed = false
  #generation = 0

  constructor(make: () => Promise<HeldBlank>) {
    this.#make = make
  }

  get ready(): number {
    return this.#ready.length
  }

  /** Makes blanks until so many are ready, and keeps as many from now on. */
  async prepare(wanted: number): Promise<void> {
    this.#wanted = wanted
    await this.#fill()
  }

  take(): Promise<HeldBlank> {
    const ready = this.#ready.pop()
    return ready === undefined ? this.#make() : Promise.resolve(ready)
  }

  /** Makes up for what was taken, after what is under way. */
  replenish(): void {
    if (this.#closed || this.#refill !== undefined || this.#ready.length >= this.#wanted) return
    this.#refill = setTimeout(() => {
      this.#refill = undefined
      // whoever takes the next blank makes one, and meets the same failure
      this.#fill().catch(() => undefined)
    })
  }

  #fill(): Promise<void> {
    this.#making ??= this.#more().finally(() => {
      this.#making = null
    })
    return this.#making
  }

  async #more(): Promise<void> {
    while (!this.#closed && this.#ready.length < this.#wanted) {
      const generation = this.#generation
      const held = await this.#make()
      if (this.#closed || generation !== this.#generation) held.discard()
      else this.#ready.push(held)
    }
  }

  /** Throws away what is ready: its key is not the one any more. */
  clear(): void {
    this.#generation++
    for (const held of this.#ready.splice(0)) held.discard()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#refill)
    this.clear()
  }
}

import { setTimeout as sleep } from "node:timers/promises"
import type { Participant } from "@consilium/federation/roster"
import type { EdgeLink, Edges } from "../transport/edge-link.js"
import { StudyLink } from "../transport/study-link.js"
import type { RoleMachine } from "./machine.js"
import { lastWords } from "./stopping.js"
import type { Hosted, StudyHost } from "./study-host.js"

/** How often a child asks its parent again for studies after an answer that failed. */
const PAUSE = 500

/**
 * A participant's traffic with its parent, over all its studies: it asks for new ones and ends when the parent has none
 * that is not over.
 */
export class ChildTraffic<M extends RoleMachine> {
  readonly #link: EdgeLink
  readonly #parent: Participant
  readonly #stop: AbortSignal
  readonly #over: Promise<void>[] = []
  #fail: (error: unknown) => void = () => undefined
  /** Rejects with the first error that cannot be handled. */
  readonly failed: Promise<never>

  constructor(
    edges: Edges,
    parent: Participant,
    stop: AbortSignal,
    onConnection: (up: boolean, detail: string) => void,
  ) {
    this.#stop = stop
    this.#link = edges.link(parent, onConnection)
    this.#parent = parent
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject
    })
    this.failed.catch(() => undefined)
  }

  /** Begins a study's traffic. `last` is waited for when the study is over, before the parent hears the last of it. */
  carry({ runner }: Hosted<M>, last: () => Promise<void> = async () => undefined): void {
    const link = new StudyLink(this.#link, this.#parent, runner)
    link.run().catch(this.#fail)
    const over = runner.ended.then(async () => {
      await last()
      await link.leave(lastWords(this.#stop))
    })
    over.catch(this.#fail)
    this.#over.push(over)
  }

  /** Runs until all studies are over and the parent knows of no other; new ones are taken up meanwhile. */
  async run(host: StudyHost<M>, stopped: Promise<void>): Promise<void> {
    const watching = this.#watch(host)
    for (let settled = 0; settled < this.#over.length; ) {
      settled = this.#over.length
      await Promise.race([Promise.all(this.#over), stopped, this.failed])
      if (this.#stop.aborted) break
      for (const signed of await this.#link.studies(0).catch(() => [])) await host.adopt(signed)
    }
    if (this.#stop.aborted)
      await Promise.all(
        host.studies.map(({ runner }) => runner.mailbox(this.#parent).drained(lastWords(this.#stop))),
      )
    this.close()
    await watching
  }

  close(): void {
    this.#link.close()
  }

  async #watch(host: StudyHost<M>): Promise<void> {
    while (!this.#link.closed)
      try {
        for (const signed of await this.#link.studies(host.studies.length)) {
          if (this.#link.closed) return
          await host.adopt(signed)
        }
      } catch {
        if (!this.#link.closed) await sleep(PAUSE)
      }
  }
}

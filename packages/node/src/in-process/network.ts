import { setImmediate as turn } from "node:timers/promises"
import { ConsiliumError } from "@consilium/base/errors"
import type { Participant } from "@consilium/federation/roster"
import type { EdgeLink, Edges } from "../transport/edge-link.js"
import { Repeating } from "../transport/repeating.js"
import { nextParcel, type StudyDoor, takeParcel } from "../transport/study-door.js"

/** What crossed an edge, parcels as they are encoded. */
export interface EdgeBytes {
  readonly child: string
  readonly parent: string
  readonly up: number
  readonly down: number
}

interface Crossed {
  readonly child: string
  readonly parent: string
  up: number
  down: number
}

type Serving = () => readonly StudyDoor[]

/**
 * The edges of a federation in one process. Parcels are handed over as the bytes that would travel, numbered and
 * acknowledged the same; there are no sockets and no TLS, and whoever calls is who the roster says.
 */
export class InProcessNetwork {
  readonly #serving = new Map<string, Serving>()
  readonly #crossed = new Map<string, Crossed>()

  /** What has crossed every edge so far. */
  get traffic(): readonly EdgeBytes[] {
    return [...this.#crossed.values()].map((edge) => ({ ...edge }))
  }

  edgesOf(me: Participant): Edges {
    return {
      link: (parent, onConnection) => this.#link(me, parent, onConnection),
      serve: async (studies) => {
        this.#serving.set(me.name, studies)
        return {
          close: async () => {
            this.#serving.delete(me.name)
          },
        }
      },
    }
  }

  #link(me: Participant, parent: Participant, onConnection: (up: boolean, detail: string) => void): EdgeLink {
    const repeating = new Repeating(onConnection)
    const crossed: Crossed = { child: me.name, parent: parent.name, up: 0, down: 0 }
    this.#crossed.set(me.name, crossed)
    const doors = (): readonly StudyDoor[] | undefined => this.#serving.get(parent.name)?.()
    const doorOf = (study: string): StudyDoor => {
      const offered = doors()
      if (offered === undefined)
        throw new ConsiliumError("network/refused", `${parent.name} takes nothing any more, or not yet.`)
      const door = offered.find(({ id }) => id === study)
      if (door === undefined)
        throw new ConsiliumError("network/unknown-study", `${parent.name} takes part in no such study.`)
      return door
    }
    return {
      get closed() {
        return repeating.signal.aborted
      },
      async studies(known) {
        await turn()
        // all studies of a federation in one process are there from its beginning
        if (known > 0) await aborted(repeating.signal)
        return (doors() ?? []).map(({ signedRoster }) => signedRoster)
      },
      async post(study, _first, parcel) {
        await turn()
        const receipt = await takeParcel(doorOf(study), me, parcel)
        crossed.up += parcel.length
        return receipt
      },
      async poll(study, after, wait) {
        await turn()
        const parcel = await nextParcel(doorOf(study), me, after, wait)
        crossed.down += parcel.length
        // one child after another takes what came for all
        await turn()
        return parcel
      },
      persistently: (attempt) => repeating.run(attempt, String),
      close: () => repeating.stop(),
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener("abort", () => resolve(), { once: true })
  })

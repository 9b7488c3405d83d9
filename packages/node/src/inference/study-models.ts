import { decode } from "@consilium/base/encoding"
import { isConsiliumError } from "@consilium/base/errors"
import { RELEASED, releaseCodec } from "@consilium/federation/leader-release"
import type { LeaderService, StudyHandle } from "../api/leader-service.js"
import { modelsOf, type StudyViews } from "../api/study-views.js"
import { type ModelOrigin, type ModelShelf, modelIds } from "./model-shelf.js"
import { compiledStudyModel, type OfferRules } from "./study-model.js"

export interface StudyModelsOptions {
  readonly service: LeaderService
  readonly views: StudyViews
  readonly shelf: ModelShelf
  readonly rules: OfferRules
  readonly narrate: (line: string) => void
  /** How often studies are looked at, milliseconds. */
  readonly everyMs?: number
}

const EVERY_MS = 1000

/** The model of a study that is in use: the last closed round's, unless somebody decided otherwise. */
interface InUse {
  readonly round: number
  readonly hash: string
}

/** What is known of one study's log so far. */
interface Followed {
  length: number
  released: number | null
  complete: boolean
  inUse: InUse | null
}

/**
 * Offers the model of each finished study under an id of the study's name, without anybody's doing. A later study of the same name, or a decision about
 * which round is in use, replaces it; requests under the plan before are answered for a while more.
 */
export class StudyModels {
  readonly #options: StudyModelsOptions
  readonly #followed = new Map<string, Followed>()
  /** By model: the study and the hash that were offered or refused last. */
  readonly #settled = new Map<string, string>()
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: StudyModelsOptions) {
    this.#options = options
    this.#later(0)
  }

  #later(ms: number): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().catch((error) => {
        this.#options.narrate(`the models of studies could not be looked at: ${String(error)}`)
      })
      void this.#looking.then(() => this.#later(this.#options.everyMs ?? EVERY_MS))
    }, ms)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    const { service, shelf } = this.#options
    if (!service.ready()) return
    const newest = new Map<string, StudyHandle>()
    const studies = service.studies()
    const ids = modelIds(studies.map(({ study }) => study.name))
    for (const handle of studies) {
      const followed = await this.#follow(handle)
      const id = ids.get(handle.study.name) as string
      if (followed.complete && followed.inUse !== null) newest.set(id, handle)
      else if (!newest.has(id) && !this.#settled.has(id))
        shelf.refuse(id, whyNot(followed), originOf(handle, followed))
    }
    for (const [id, handle] of newest) await this.#offer(id, handle)
  }

  async #follow(handle: StudyHandle): Promise<Followed> {
    const before = this.#followed.get(handle.id)
    if (before !== undefined && before.length === handle.length) return before
    const length = handle.length
    let released = before?.released ?? null
    for await (const entry of handle.entries(before?.length ?? 0))
      if (entry.header.type === RELEASED) released = decode(releaseCodec, entry.body).round
    const view = await this.#options.views.of(handle)
    const models = modelsOf(view)
    const found = models.find(({ round }) => round === released) ?? models.at(-1) ?? null
    const followed: Followed = {
      length,
      released,
      complete: view.state === "complete",
      inUse: found && { round: found.round, hash: found.hash },
    }
    this.#followed.set(handle.id, followed)
    return followed
  }

  async #offer(id: string, handle: StudyHandle): Promise<void> {
    const { shelf, rules, narrate } = this.#options
    const followed = this.#followed.get(handle.id) as Followed
    const { round, hash } = followed.inUse as InUse
    const settled = `${handle.id} ${hash}`
    if (this.#settled.get(id) === settled) return
    this.#settled.set(id, settled)
    try {
      const compiled = compiledStudyModel(handle.study, await handle.model(hash), round, rules)
      shelf.offer(id, compiled, originOf(handle, followed))
      narrate(`the model "${id}" of round ${round} can be asked about encrypted patients`)
    } catch (error) {
      if (!isConsiliumError(error) || error.code.startsWith("store/")) {
        // a disk that fails for a moment says nothing of the model: the next look tries again
        this.#settled.delete(id)
        throw error
      }
      shelf.refuse(id, `${error.message} ${error.remedy}`, originOf(handle, followed))
      narrate(`the model "${id}" of round ${round} is not offered: ${error.message}`)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#looking
  }
}

const whyNot = ({ complete }: Followed): string =>
  complete
    ? "Its study ended before a round was closed."
    : "Its study is not finished; the model is offered when it is."

const originOf = ({ id }: StudyHandle, { inUse }: Followed): ModelOrigin => ({
  study: id,
  round: inUse?.round ?? null,
})

import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import type { IntegerModel } from "@consilium/inference/model/integer-model"
import type { InferencePlan } from "@consilium/inference/plan/plan"
import { ModelServer } from "@consilium/inference/server/model-server"
import { type PlanView, planView } from "./plan-view.js"

/** Where a model comes from. */
export interface ModelOrigin {
  /** The study that trained it, 64 hexadecimal digits; null where it was compiled by hand. */
  readonly study: string | null
  readonly round: number | null
}

export const BY_HAND: ModelOrigin = { study: null, round: null }

/** The public half and the server's half of a model. */
export interface ServedModel {
  readonly plan: InferencePlan
  readonly integers: IntegerModel
}

/** One version of a model, ready to answer. */
export interface ModelVersion {
  readonly id: string
  readonly served: ServedModel
  readonly server: ModelServer
  /** The hash of its plan, 64 hexadecimal digits. */
  readonly plan: string
  /** The plan in words, made once: making it checks the plan and all of its rings, which takes milliseconds. */
  readonly view: PlanView
  readonly origin: ModelOrigin
  /** Milliseconds since 1970. */
  readonly since: number
}

/** A model by its name: what is asked now, or why it cannot be asked. */
export interface ShelfEntry {
  readonly id: string
  readonly current: ModelVersion | null
  readonly why: string | null
  readonly origin: ModelOrigin
  readonly since: number
}

interface Place extends ShelfEntry {
  readonly older: readonly { readonly version: ModelVersion; readonly until: number }[]
}

/** How long an older version is kept for those who fetched its plan before it was replaced. */
export const OLDER_MS = 10 * 60 * 1000
const MOST_OLDER = 4
/** Longest name of a model: it is part of addresses. */
const MOST_ID = 64
const ID = /^[a-z0-9][a-z0-9._-]{0,63}$/

/** A name as a model's id: what an address cannot hold becomes a dash. */
export const modelId = (name: string): string => {
  const id = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replaceAll(/^[^a-z0-9]+|-+$/g, "")
    .slice(0, MOST_ID)
  return ID.test(id) ? id : "model"
}

const OWN_DIGITS = 8

/**
 * The ids of studies' models by the studies' names, given in the order in which they began: a name whose id an earlier one has gets
 * one with digits of its own, so that no study takes another's place by a name that only looks like it.
 */
export const modelIds = (names: readonly string[]): ReadonlyMap<string, string> => {
  const owners = new Map<string, string>()
  const ids = new Map<string, string>()
  for (const name of names) {
    if (ids.has(name)) continue
    const id = modelId(name)
    const digits = toHex(sha256(utf8(name))).slice(0, OWN_DIGITS)
    const own = owners.has(id) ? `${id.slice(0, MOST_ID - OWN_DIGITS - 1)}-${digits}` : id
    owners.set(own, name)
    ids.set(name, own)
  }
  return ids
}

/** The models that can be asked, each with the versions that are still answered. Replacing one disturbs no request. */
export class ModelShelf {
  readonly #places = new Map<string, Place>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /**
   * Puts a version in the place of the one before, which is answered for ten minutes more. The same plan again changes nothing.
   * @throws {ConsiliumError} as `ModelServer`
   */
  offer(id: string, served: ServedModel, origin: ModelOrigin): ModelVersion {
    if (!ID.test(id))
      throw new ConsiliumError("inference/bad-model", `"${id.slice(0, 80)}" cannot be the name of a model.`, {
        remedy:
          "Use lower-case letters, digits, dot, dash and underscore, at most 64, beginning with a letter or digit.",
      })
    const server = new ModelServer(served)
    const plan = toHex(server.prepared.hash)
    const before = this.#places.get(id)
    if (before?.current?.plan === plan) return before.current
    const since = this.#now()
    const version = { id, served, server, plan, view: planView(server.prepared), origin, since }
    this.#places.set(id, {
      id,
      current: version,
      why: null,
      origin,
      since,
      older: this.#olderWith(before, plan),
    })
    return version
  }

  /** Says why a model of this name cannot be asked; one that was offered before ends at once, older versions too. */
  refuse(id: string, why: string, origin: ModelOrigin): void {
    const before = this.#places.get(id)
    if (before?.why === why) return
    this.#places.set(id, { id, current: null, why, origin, since: this.#now(), older: [] })
  }

  /** Takes a model away, with all its versions. */
  remove(id: string): void {
    this.#places.delete(id)
  }

  /** All models, by name. */
  entries(): readonly ShelfEntry[] {
    return [...this.#places.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** @throws {ConsiliumError} "inference/no-model", "inference/not-offered" */
  current(id: string): ModelVersion {
    const place = this.#placeOf(id)
    if (place.current === null)
      throw new ConsiliumError("inference/not-offered", `The model "${id}" cannot be asked: ${place.why}`)
    return place.current
  }

  /** The versions whose requests are answered, the current one first. @throws {ConsiliumError} "inference/no-model" */
  versions(id: string): readonly ModelVersion[] {
    const { current, older } = this.#placeOf(id)
    const kept = this.#still(older).map(({ version }) => version)
    return current === null ? kept : [current, ...kept]
  }

  /**
   * The version that answers requests under a plan.
   * @throws {ConsiliumError} "inference/other-plan" with both hashes, or as `current`
   */
  version(id: string, plan: string): ModelVersion {
    const found = this.versions(id).find((one) => one.plan === plan)
    if (found !== undefined) return found
    throw new ConsiliumError(
      "inference/other-plan",
      `The request is for plan ${plan}; the model "${id}" is asked under plan ${this.current(id).plan}.`,
    )
  }

  #placeOf(id: string): Place {
    const place = this.#places.get(id)
    if (place === undefined) throw new ConsiliumError("inference/no-model", "There is no model of this name.")
    return place
  }

  #still(older: Place["older"]): Place["older"] {
    return older.filter(({ until }) => this.#now() < until)
  }

  #olderWith(before: Place | undefined, plan: string): Place["older"] {
    if (before === undefined) return []
    const { current, older } = before
    const replaced = current === null ? [] : [{ version: current, until: this.#now() + OLDER_MS }]
    return [...replaced, ...this.#still(older)]
      .filter(({ version }) => version.plan !== plan)
      .slice(0, MOST_OLDER)
  }
}

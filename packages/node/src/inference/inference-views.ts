import { ConsiliumError } from "@consilium/base/errors"
import type { z } from "zod"
import type { contextSchema, ServedModelView } from "./inference-schemas.js"
import type { InferenceService } from "./inference-service.js"
import type { ModelShelf, ShelfEntry } from "./model-shelf.js"
import { planContext } from "./plan-context.js"

/** A model as its askers see it. */
export const servedModelView = (
  service: InferenceService,
  { id, current, why, origin, since }: ShelfEntry,
  asker: string,
): ServedModelView => {
  const prepared = current?.server.prepared ?? null
  const plan = prepared?.plan ?? null
  const allowed = current === null ? null : service.allowed(current)
  return {
    id,
    offered: current !== null,
    why,
    version: plan?.version ?? null,
    plan: current?.plan ?? null,
    kind: current === null ? null : current.served.integers.kind === "linear" ? "linear" : "network",
    weights: plan?.weights ?? null,
    packing: plan?.packing ?? null,
    patients: plan?.patients ?? null,
    requestBytes: prepared?.requestBytes ?? null,
    answerBytes: prepared?.answerBytes ?? null,
    keyBytes: prepared?.takesKey ? prepared.keyBytes : null,
    answersLeft: allowed === null ? null : Math.max(0, allowed - service.given(asker, id)),
    source: { study: origin.study, round: origin.round },
    marks: [...(plan?.marks ?? [])],
    since: new Date(since).toISOString(),
  }
}

/**
 * The parameters under which a model is asked; the only one's, if none is named.
 * @throws {ConsiliumError} "inference/no-model", "inference/not-offered", "inference/other-plan" with both hashes
 */
export const contextView = (
  shelf: ModelShelf,
  model: string | undefined,
  wanted: string | undefined,
): z.output<typeof contextSchema> => {
  const entries = shelf.entries()
  if (model === undefined && entries.length !== 1)
    throw new ConsiliumError(
      "inference/no-model",
      `There are ${entries.length} models; the request names none.`,
      {
        remedy: "Add ?model= with a name of /v1/models.",
      },
    )
  const { id, plan, server } = shelf.current(model ?? (entries[0] as ShelfEntry).id)
  if (wanted !== undefined && wanted !== plan)
    throw new ConsiliumError(
      "inference/other-plan",
      `The context is asked for plan ${wanted}; the model "${id}" is asked under plan ${plan}.`,
    )
  return { ...planContext(server.prepared), model: id }
}

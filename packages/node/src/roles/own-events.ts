import { toHex } from "@consilium/base/bytes"
import { utf8 } from "@consilium/base/platform"
import type { OwnEvent } from "../own-event.js"

/** What a machine wants to be remembered: something that happened, or something that must not. */
type Recorded =
  | { readonly type: "record"; readonly event: string; readonly detail: string }
  | {
      readonly type: "security"
      readonly code: string
      readonly about: Uint8Array
      readonly evidence: Uint8Array
      readonly detail: string
    }

/** The events that some effects add to a role's own log; one that must not happen names the digest of what shows it. */
export const ownEvents = (
  me: Uint8Array,
  effects: readonly (Recorded | { readonly type: string })[],
): readonly OwnEvent[] =>
  effects.flatMap((effect) => {
    if (isRecord(effect)) return [{ type: effect.event, actor: me, body: utf8(effect.detail) }]
    if (isSecurity(effect)) {
      const { code, about, evidence, detail } = effect
      return [
        { type: `security:${code}`, actor: about, body: utf8(`${detail} (evidence ${toHex(evidence)})`) },
      ]
    }
    return []
  })

const isRecord = (effect: { readonly type: string }): effect is Extract<Recorded, { type: "record" }> =>
  effect.type === "record"
const isSecurity = (effect: { readonly type: string }): effect is Extract<Recorded, { type: "security" }> =>
  effect.type === "security"

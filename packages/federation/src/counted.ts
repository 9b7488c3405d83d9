import { equalBytes } from "@consilium/base/bytes"
import { isOpened } from "./facility-rules.js"
import type { Attempt, FacilityState } from "./facility-state.js"
import type { Participant } from "./roster.js"

/**
 * Whether the sum that an attempt was closed with holds this facility's update. What it signed or answered says so; one
 * that did neither goes by the certificate that it saw, which it remembers even where it refused to open.
 */
export const isCounted = (state: FacilityState & { readonly attempt: Attempt }, me: Participant): boolean =>
  state.phase === "signed" || state.phase === "opened"
    ? state.proposal.cohort.some(({ facility }) => equalBytes(facility, me.id))
    : isOpened(state.memory, state.attempt.spec.model, me)

import { encodeStudy, type Study } from "@consilium/federation/study"
import { closeStudy, fetchRoster, proposeStudy } from "../identity/enrol-client.js"
import type { Membership } from "./membership.js"

/** What a leader asks of the authority while it runs. */
export interface AuthorityDesk {
  /** The first roster of a study after a version, as the authority signed it; null if none came for a while. */
  nextRoster(study: Uint8Array, after: number, stop: AbortSignal): Promise<Uint8Array | null>
  /** Has a new study signed among those who are present; gives its first roster. */
  propose(study: Study, stop: AbortSignal): Promise<Uint8Array>
  /** Says that a study is over; an authority that does not answer is left alone. */
  close(study: Uint8Array, stop: AbortSignal): Promise<void>
}

const GOODBYE = 2_000

/** The authority of a kit, over its own interface. */
export const authorityDesk = ({ kit, identity }: Membership): AuthorityDesk => ({
  nextRoster: (study, after, stop) =>
    fetchRoster(kit, identity, { study, after, now: Date.now, patienceMs: 25_000, stop }),
  propose: (study, stop) =>
    proposeStudy(kit, identity, encodeStudy(study), { now: Date.now, patienceMs: 20_000, stop }),
  close: (study, stop) =>
    closeStudy(kit, identity, study, { now: Date.now, patienceMs: GOODBYE, stop }).then(
      () => undefined,
      () => undefined,
    ),
})

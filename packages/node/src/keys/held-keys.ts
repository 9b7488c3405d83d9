import { equalBytes } from "@consilium/base/bytes"
import { isKeyed, type Study } from "@consilium/federation/study"
import { thresholdParameters } from "@consilium/federation/sums/lattice-parameters"
import type { FacilityMachine } from "../roles/facility-machine.js"
import type { StudyRunner } from "../roles/study-runner.js"
import type { FacilityKeys, HeldKeys } from "./key-status.js"

// What a facility says of its own keys. No server's code reaches this file: it sees the machine that holds them.

/** A study of a facility, as far as its keys are concerned. */
export interface KeyedStudy {
  readonly study: Study
  readonly runner: Pick<StudyRunner, "id" | "over">
  readonly machine: Pick<FacilityMachine, "state" | "directory">
}

const DAY_MS = 24 * 60 * 60 * 1000

const heldBy = (
  study: Study,
  { state, directory }: KeyedStudy["machine"],
  me: Uint8Array,
): HeldKeys | null => {
  const lifetime = study.keys
  if (!isKeyed(study) || lifetime === null) return null
  const { keys, lastEpoch } = state.memory
  const dealing = "attempt" in state && state.attempt.spec.purpose === "keys"
  return {
    epoch: keys?.epoch ?? null,
    lastCeremony: lastEpoch,
    ceremony: dealing ? state.phase : null,
    own: keys !== null && keys.key !== null && keys.dealers.some((id) => equalBytes(id, me)),
    keys: keys?.dealers.length ?? 0,
    shares: keys?.shares.length ?? 0,
    openingsLeft:
      keys === null
        ? null
        : Math.floor(keys.ledger.polynomialsLeft / thresholdParameters({ study, directory }).blocks),
    lifetime,
    since: keys === null ? null : new Date(keys.since).toISOString(),
    ends: keys === null ? null : new Date(keys.since + lifetime.days * DAY_MS).toISOString(),
  }
}

export const facilityKeysOf = (
  { name, id }: { readonly name: string; readonly id: Uint8Array },
  studies: readonly KeyedStudy[],
): FacilityKeys => ({
  facility: name,
  studies: studies.map(({ study, runner, machine }) => ({
    id: runner.id,
    name: study.name,
    over: runner.over,
    protection: study.protection,
    held: heldBy(study, machine, id),
  })),
})

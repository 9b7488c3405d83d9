import {
  bool,
  decode,
  type Encoded,
  encode,
  fixedBytes,
  i32Array,
  list,
  nullable,
  oneOf,
  record,
  u16,
  u32,
  u53,
  variant,
} from "@consilium/base/encoding"
import type { Digest } from "@consilium/base/hash"
import { SecretKey } from "@consilium/base/random"
import type { FacilityContext, FacilityState, Made } from "./facility-state.js"
import { ledgerHeadCodec } from "./ledger-chain.js"
import { listOfWitness, witnessCodec, witnessOfList } from "./ledger-witness.js"
import { purposeCodec } from "./purpose.js"
import { type Directory, MAX_PARTICIPANTS } from "./roster.js"
import { MAX_VALUES } from "./study.js"
import { epochKeysCodec, restoredKeys, storedKeys } from "./sums/facility/epoch-keys.js"

const openedCodec = record({
  model: fixedBytes(32),
  round: u32,
  attempt: u16,
  facilities: list(fixedBytes(16), MAX_PARTICIPANTS),
})

const madeCodec = record({
  model: fixedBytes(32),
  values: i32Array(MAX_VALUES),
  secret: fixedBytes(32),
  charged: bool,
  ledger: nullable(ledgerHeadCodec),
})

const snapshotCodec = record({
  head: nullable(record({ seq: u53, hash: fixedBytes(32) })),
  opened: list(openedCodec, 1 << 20),
  trained: nullable(madeCodec),
  counted: nullable(madeCodec),
  charges: u32,
  figures: record({ statistics: u32, evaluations: u32 }),
  asked: nullable(fixedBytes(32)),
  witness: witnessCodec,
  last: record({ purpose: purposeCodec, round: u32, attempt: u16 }),
  keys: nullable(epochKeysCodec),
  lastEpoch: u32,
  approval: oneOf("none", "approved", "denied"),
  phase: variant({ idle: record({}), ended: record({ signature: nullable(fixedBytes(64)) }) }),
})

const stored = (made: Made): Encoded<typeof madeCodec> => ({ ...made, secret: made.secret.expose() })

/** What a facility needs to go on between rounds, without the directory; null within a round. It holds secrets: seal it. */
export const encodeFacility = (state: FacilityState): Uint8Array | null => {
  if (state.phase !== "idle" && state.phase !== "ended") return null
  const {
    head,
    opened,
    trained,
    counted,
    charges,
    figures,
    asked,
    witness,
    last,
    keys,
    lastEpoch,
    approval,
  } = state.memory
  return encode(snapshotCodec, {
    head,
    opened,
    trained: trained && stored(trained),
    counted: counted && stored(counted),
    charges,
    figures,
    asked,
    witness: listOfWitness(witness),
    last,
    keys: keys && storedKeys(keys),
    lastEpoch,
    approval,
    phase: state.phase === "idle" ? { type: "idle" } : { type: "ended", signature: state.signature },
  })
}

/** @throws {ConsiliumError} "encoding/..." */
export const decodeFacility = (
  snapshot: Uint8Array,
  { study, me }: Pick<FacilityContext, "study" | "me">,
  directory: Directory,
): FacilityState => {
  const { head, trained, counted, witness, keys, phase, ...rest } = decode(snapshotCodec, snapshot)
  const memory = {
    ...rest,
    directory,
    witness: witnessOfList(witness),
    keys: keys && restoredKeys(study, directory, me.id, keys),
    head: head && { seq: head.seq, hash: head.hash as Digest },
    trained: trained && { ...trained, secret: new SecretKey(trained.secret) },
    counted: counted && { ...counted, secret: new SecretKey(counted.secret) },
  }
  return phase.type === "idle"
    ? { phase: "idle", memory }
    : { phase: "ended", memory, signature: phase.signature }
}

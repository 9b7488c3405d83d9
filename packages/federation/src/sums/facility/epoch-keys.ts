import { equalBytes } from "@consilium/base/bytes"
import {
  bytes,
  type Encoded,
  fixedBytes,
  list,
  nullable,
  record,
  u16,
  u32,
  u53,
} from "@consilium/base/encoding"
import { SecretKey } from "@consilium/base/random"
import { SeedLedger } from "@consilium/lattice/sums/seed-ledger"
import {
  type EpochKey,
  type HeldShare,
  restoreEpochKey,
  restoreHeldShare,
} from "@consilium/lattice/threshold/epoch-key"
import { ceremonyId } from "@consilium/lattice/threshold/key-check"
import type { Directory } from "../../roster.js"
import { MAX_PARTICIPANTS } from "../../roster.js"
import { type Study, studyDigest } from "../../study.js"
import { thresholdParameters } from "../lattice-parameters.js"

/** What a facility holds of one key epoch: its own key, its shares of the others', and what both were used for. */
export interface EpochKeys {
  readonly epoch: number
  /** Digest of the roster that the keys were dealt among. */
  readonly roster: Uint8Array
  /** When the epoch began by this facility's clock, milliseconds since 1970. */
  readonly since: number
  /** From which the dealing came, and the flooding of answers comes. */
  readonly secret: SecretKey
  /** Null where this facility's key was not among those that were shared: it cannot protect, but may open. */
  readonly key: EpochKey | null
  /** Facilities whose keys were shared. */
  readonly dealers: readonly Uint8Array[]
  /** This facility's shares of the dealers' keys; one is missing where a dealer's did not arrive. */
  readonly shares: readonly HeldShare[]
  /** One use for each polynomial. */
  readonly ledger: SeedLedger
}

const MOST_BYTES = 16 << 20

export const epochKeysCodec = record({
  epoch: u32,
  roster: fixedBytes(32),
  since: u53,
  secret: fixedBytes(32),
  key: nullable(bytes(MOST_BYTES)),
  dealers: list(fixedBytes(16), MAX_PARTICIPANTS),
  shares: list(record({ dealer: u16, share: bytes(MOST_BYTES) }), MAX_PARTICIPANTS),
  ledger: bytes(MOST_BYTES),
})
type Stored = Encoded<typeof epochKeysCodec>

/** The keys as they are sealed at rest. */
export const storedKeys = ({ key, shares, secret, ledger, ...rest }: EpochKeys): Stored => ({
  ...rest,
  secret: secret.expose(),
  key: key?.expose() ?? null,
  shares: shares.map((share) => ({ dealer: share.dealer, share: share.expose() })),
  ledger: ledger.encode(),
})

/**
 * The keys from what was stored; null if they were dealt among another roster, so that nothing fits them any more.
 * @throws {ConsiliumError} "lattice/malformed", "encoding/..."
 */
export const restoredKeys = (
  study: Study,
  directory: Directory,
  me: Uint8Array,
  { key, shares, secret, ledger, ...rest }: Stored,
): EpochKeys | null => {
  if (!equalBytes(rest.roster, directory.digest)) return null
  const parameters = thresholdParameters({ study, directory })
  const id = ceremonyId(parameters, { study: studyDigest(study), epoch: rest.epoch })
  const point = directory.pointOf(me)
  return {
    ...rest,
    secret: new SecretKey(secret),
    key: key && restoreEpochKey(parameters.ring, id, point, key),
    shares: shares.map(({ dealer, share }) => restoreHeldShare(parameters.ring, id, dealer, point, share)),
    ledger: SeedLedger.decode(ledger),
  }
}

/** Overwrites an epoch's secrets in memory, once it is over. */
export const eraseKeys = ({ key, shares, secret }: EpochKeys): void => {
  key?.erase()
  for (const share of shares) share.erase()
  secret.erase()
}

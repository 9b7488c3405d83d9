import { equalBytes, toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { checkCosigned } from "./cosigned.js"
import type { LogHead } from "./log.js"
import { type CosignedHead, cosignedHeadCodec } from "./messages.js"
import { type Directory, openRoster } from "./roster.js"
import type { Study } from "./study.js"
import type { CryptoSuite } from "./suite.js"

/**
 * Heads that facilities kept, to be found again in a log. The leader can write a log anew, with all hashes and its own
 * signatures, but not a quorum of facilities' signatures over its events.
 */
export class GivenHeads {
  readonly #suite: CryptoSuite
  readonly #study: Study
  /** Different ones, by number. */
  readonly #heads: readonly CosignedHead[]
  /** Rosters that facilities hold, by digest: a log that was cut may lack the one that a head is signed among. */
  readonly #rosters: ReadonlyMap<string, Directory>
  #at = 0

  /** @throws {ConsiliumError} "identity/bad-roster" */
  constructor(
    trusted: { readonly suite: CryptoSuite; readonly study: Study; readonly authorityKey: Uint8Array },
    heads: readonly CosignedHead[],
    rosters: readonly Uint8Array[],
  ) {
    const { suite, study, authorityKey } = trusted
    const different = new Map(heads.map((head) => [toHex(encode(cosignedHeadCodec, head)), head]))
    this.#suite = suite
    this.#study = study
    this.#heads = [...different.values()].sort((a, b) => a.seq - b.seq)
    this.#rosters = new Map(
      rosters.map((signed) => {
        const { directory } = openRoster(suite, authorityKey, signed)
        return [toHex(directory.digest), directory]
      }),
    )
  }

  get count(): number {
    return this.#heads.length
  }

  /**
   * Compares the log as far as it goes with the heads of its last event.
   * @throws {ConsiliumError} "audit/rewritten"; "audit/bad-head" if it is the head that does not hold
   */
  check(log: LogHead, directory: Directory): void {
    for (let head = this.#heads[this.#at]; head?.seq === log.seq; head = this.#heads[++this.#at]) {
      const among = this.#among(head, directory)
      if (among === undefined)
        throw new ConsiliumError(
          "audit/bad-head",
          `The head given for event ${head.seq} is signed among another roster than number ${directory.roster.version}, which the log has there.`,
        )
      this.#checkSigned(head, among)
      if (!equalBytes(head.hash, log.hash))
        throw new ConsiliumError(
          "audit/rewritten",
          `Event ${head.seq} of the log is not the one that ${head.signatures.length} facilities signed: the log was written anew at that event or before it.`,
        )
    }
  }

  /**
   * Compares the whole log with the heads beyond its end.
   * @throws {ConsiliumError} "audit/truncated"; "audit/bad-head" if it is the heads that cannot be checked
   */
  finish(log: LogHead, directory: Directory): void {
    const beyond = this.#heads.slice(this.#at)
    const [first] = beyond
    if (first === undefined) return
    const head = beyond.find((one) => this.#among(one, directory) !== undefined)
    const among = head && this.#among(head, directory)
    if (head === undefined || among === undefined)
      throw new ConsiliumError(
        "audit/bad-head",
        `The log ends at event ${log.seq}; the head given for event ${first.seq} is signed among a roster that is not in the log, so it cannot be checked.`,
      )
    this.#checkSigned(head, among)
    throw new ConsiliumError(
      "audit/truncated",
      `Event ${log.seq + 1} of the log is missing: the log ends at event ${log.seq}, and ${head.signatures.length} facilities signed event ${head.seq}.`,
    )
  }

  /** The roster that a head is signed among: the log's, or one that was given. */
  #among({ roster }: CosignedHead, directory: Directory): Directory | undefined {
    return equalBytes(roster, directory.digest) ? directory : this.#rosters.get(toHex(roster))
  }

  #checkSigned(head: CosignedHead, directory: Directory): void {
    try {
      checkCosigned(this.#suite, this.#study, directory, head)
    } catch (cause) {
      if (!(cause instanceof ConsiliumError)) throw cause
      throw new ConsiliumError(
        "audit/bad-head",
        `The head given for event ${head.seq} does not hold: ${cause.message}`,
        { cause },
      )
    }
  }
}

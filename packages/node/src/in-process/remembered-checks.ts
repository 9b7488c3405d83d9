import { equalBytes } from "@consilium/base/bytes"
import type { Envelope, Message } from "@consilium/federation/messages"
import type { Participant } from "@consilium/federation/roster"
import type { CryptoSuite } from "@consilium/federation/suite"
import { type Checks, nodeChecks, type SignedStudy } from "../roles/checks.js"

const VERDICTS = 1 << 16
const MESSAGES = 1 << 12
const ROSTERS = 16

interface Verified {
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
  readonly verdict: boolean
}
interface Read {
  readonly from: Participant
  readonly envelope: Envelope
  readonly message: Message
}

/** A map that forgets what was put in first once it holds so many. */
class Bounded<T> {
  readonly #limit: number
  readonly #held = new Map<string, T>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: string): T | undefined {
    return this.#held.get(key)
  }

  put(key: string, value: T): void {
    if (this.#held.size >= this.#limit) {
      const [first] = this.#held.keys()
      if (first !== undefined) this.#held.delete(first)
    }
    this.#held.set(key, value)
  }
}

/** One character a byte. */
const nameOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")

/** Whether two byte strings are the same; for what everybody may see. */
const same = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0

/**
 * The checks of all participants in one process, remembered: whether a key has signed some bytes, and what an envelope
 * says, is the same for everybody who asks. What is given out is shared, so nobody may change it.
 */
export class RememberedChecks implements Checks {
  readonly #verdicts = new Bounded<Verified>(VERDICTS)
  readonly #messages = new Bounded<Read>(MESSAGES)
  readonly #rosters: {
    readonly key: Uint8Array
    readonly signed: Uint8Array
    readonly study: SignedStudy
  }[] = []
  /** How often each was asked, and how often it had to be found out. */
  readonly counts = { verified: 0, verifiedAnew: 0, read: 0, readAnew: 0 }

  readonly suite: CryptoSuite = {
    ...nodeChecks.suite,
    verify: (publicKey, message, signature) => {
      this.counts.verified += 1
      const name = nameOf(signature)
      const known = this.#verdicts.get(name)
      if (known !== undefined && same(known.publicKey, publicKey) && same(known.message, message))
        return known.verdict
      this.counts.verifiedAnew += 1
      const verdict = nodeChecks.suite.verify(publicKey, message, signature)
      this.#verdicts.put(name, { publicKey, message, verdict })
      return verdict
    },
  }

  roster(authorityKey: Uint8Array, signed: Uint8Array): SignedStudy {
    const known = this.#rosters.find((one) => equalBytes(one.key, authorityKey) && same(one.signed, signed))
    if (known !== undefined) return known.study
    const study = nodeChecks.roster(authorityKey, signed)
    this.#rosters.push({ key: authorityKey, signed, study })
    if (this.#rosters.length > ROSTERS) this.#rosters.shift()
    return study
  }

  message(from: Participant, envelope: Envelope): Message {
    this.counts.read += 1
    const name = nameOf(envelope.signature)
    const known = this.#messages.get(name)
    if (
      known !== undefined &&
      same(known.envelope.body, envelope.body) &&
      same(known.envelope.from, envelope.from) &&
      same(known.envelope.to, envelope.to) &&
      same(known.envelope.study, envelope.study) &&
      same(known.from.signingKey, from.signingKey)
    )
      return known.message
    this.counts.readAnew += 1
    const message = nodeChecks.message(from, envelope)
    this.#messages.put(name, { from, envelope, message })
    return message
  }
}

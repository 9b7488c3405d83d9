import { isConsiliumError } from "@consilium/base/errors"
import type { MessageOf, Proposal, RoundSpec } from "@consilium/federation/messages"
import { openingThreshold, studyDigest } from "@consilium/federation/study"
import { HostileRounds, type OpenAttempt } from "./hostile-round.js"

/** The honest steps of a key ceremony, and of a round under its keys, whose ciphertexts come to the leader one by one. */
export class HostileCeremonies extends HostileRounds {
  /** Of the keys that were certified last. */
  epoch = 0

  override announcement(
    round: number,
    attempt: number,
    parameters: Float64Array,
    epoch = this.epoch,
  ): MessageOf<"announce"> {
    return super.announcement(round, attempt, parameters, epoch)
  }

  /** Facilities that open a sum together. */
  get threshold(): number {
    return openingThreshold(this.study, this.names.length)
  }

  /** The facilities that an honest leader would name to open. */
  get openers(): readonly string[] {
    return this.names.slice(0, this.threshold)
  }
  get otherOpeners(): readonly string[] {
    return this.names.slice(-this.threshold)
  }

  ceremony(epoch: number): MessageOf<"announce"> {
    const { study, directory } = this
    const spec: RoundSpec = {
      study: studyDigest(study),
      round: 1,
      attempt: 1,
      purpose: "keys",
      epoch,
      roster: directory.digest,
      model: new Uint8Array(32),
    }
    return { type: "announce", spec, model: new Uint8Array(0), members: null }
  }

  async announceKeys(epoch: number): Promise<OpenAttempt> {
    const message = this.ceremony(epoch)
    return this.attemptOf(message, await this.ask(message, "submit"))
  }

  keyTest(
    { digest }: OpenAttempt,
    dealers: readonly string[],
    openers: readonly string[],
  ): MessageOf<"key-test"> {
    return { type: "key-test", spec: digest, dealers: this.idsOf(dealers), openers: this.idsOf(openers) }
  }

  /** The list of all dealers is certified: the epoch begins. */
  beginEpoch(proposal: Proposal, signatures: ReadonlyMap<string, Uint8Array>): void {
    this.say(this.certificate(proposal, signatures))
    this.epoch = proposal.spec.epoch
  }

  /** A whole ceremony, as an honest leader holds it. */
  async newKeys(epoch: number): Promise<void> {
    const { names } = this
    const attempt = await this.announceKeys(epoch)
    await this.check(attempt)
    await this.ask(this.keyTest(attempt, names, this.openers), "key-tested")
    const proposal = this.proposal(attempt, names)
    this.beginEpoch(proposal, await this.signatures(proposal))
  }

  override async announce(round: number, attempt: number, parameters: Float64Array): Promise<OpenAttempt> {
    const message = this.announcement(round, attempt, parameters)
    const updates = await this.ask(message, "update")
    return this.attemptOf(
      message,
      new Map([...updates].map(([name, { submission }]) => [name, submission])),
      new Map([...updates].map(([name, { payload }]) => [name, payload])),
    )
  }

  /** What facilities are asked to certify: ciphertexts are not challenged before, so all are shown. */
  propose(attempt: OpenAttempt, proposal: Proposal): MessageOf<"propose"> {
    return { type: "propose", proposal, submissions: [...attempt.submissions.values()] }
  }

  async certified(
    attempt: OpenAttempt,
    proposal: Proposal,
    names: readonly string[] = this.names,
  ): Promise<ReadonlyMap<string, Uint8Array>> {
    const answers = await this.ask(this.propose(attempt, proposal), "signature", names)
    return new Map([...answers].map(([name, { signature }]) => [name, signature]))
  }

  /** What comes of taking answers off other ciphertexts than those they are for. */
  opens(
    attempt: OpenAttempt,
    proposal: Proposal,
    partials: ReadonlyMap<string, MessageOf<"partial">>,
    ciphertexts: readonly string[],
  ): string {
    try {
      this.sum(attempt, proposal, partials, ciphertexts)
      return "opens"
    } catch (error) {
      if (!isConsiliumError(error)) throw error
      // by chance what remains is within the range of sums or beyond it
      return ["lattice/bad-opening", "lattice/out-of-range"].includes(error.code) ? "nothing" : error.code
    }
  }
}

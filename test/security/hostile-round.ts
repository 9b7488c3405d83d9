import { compareBytes } from "@consilium/base/bytes"
import {
  type CosignedHead,
  certificateDigest,
  type Message,
  type MessageOf,
  type Proposal,
  type RoundSpec,
  type SignatureList,
  type SignedSubmission,
  specDigest,
  submissionDigest,
} from "@consilium/federation/messages"
import { modelFile, modelHashOf } from "@consilium/federation/model"
import { studyDigest } from "@consilium/federation/study"
import { openBetween } from "@consilium/federation/suite"
import { protectionOf } from "@consilium/federation/sums/protections"
import { nodeSuite } from "@consilium/node/identity/suite"
import { HostileLeader } from "./hostile-leader.js"

/** An attempt at a round as the leader sees it. */
export interface OpenAttempt {
  readonly spec: RoundSpec
  readonly digest: Uint8Array
  readonly submissions: ReadonlyMap<string, SignedSubmission>
  /** What came to the leader as the parent of facilities. */
  readonly payloads: ReadonlyMap<string, Uint8Array>
}

/** The honest steps of a round, one by one: what stands between two attempts to cheat. */
export class HostileRounds extends HostileLeader {
  announcement(round: number, attempt: number, parameters: Float64Array, epoch = 0): MessageOf<"announce"> {
    const { study, directory } = this
    const spec: RoundSpec = {
      study: studyDigest(study),
      round,
      attempt,
      purpose: "update",
      epoch,
      roster: directory.digest,
      model: modelHashOf(study, parameters),
    }
    return { type: "announce", spec, model: modelFile(study, parameters, round - 1), members: null }
  }

  async announce(round: number, attempt: number, parameters: Float64Array): Promise<OpenAttempt> {
    const message = this.announcement(round, attempt, parameters)
    const submissions = await this.ask(message, "submit")
    return this.attemptOf(message, submissions)
  }

  protected attemptOf(
    { spec }: MessageOf<"announce">,
    answers: ReadonlyMap<string, SignedSubmission>,
    payloads: OpenAttempt["payloads"] = new Map(),
  ): OpenAttempt {
    const submissions = new Map(
      [...answers].map(([name, { submission, signature }]) => [name, { submission, signature }]),
    )
    return { spec, digest: specDigest(spec), submissions, payloads }
  }

  list({ digest, submissions }: OpenAttempt, names: readonly string[]): MessageOf<"lock"> {
    return {
      type: "lock",
      spec: digest,
      submissions: names.map((name) => submissions.get(name) as SignedSubmission),
    }
  }

  /** Locks a list and passes the dealers' answers on, so that the facilities asked hold checked shares. */
  async check(
    attempt: OpenAttempt,
    names: readonly string[] = this.names,
    asked: readonly string[] = names,
  ): Promise<ReadonlyMap<string, MessageOf<"opening">>> {
    const openings = await this.ask(this.list(attempt, names), "opening", asked)
    await this.passOn(attempt, openings, asked)
    return openings
  }

  async passOn(
    attempt: OpenAttempt,
    openings: ReadonlyMap<string, MessageOf<"opening">>,
    asked: readonly string[] = this.names,
  ): Promise<void> {
    const message: Message = {
      type: "openings",
      spec: attempt.digest,
      openings: [...openings.values()].map(({ opening }) => opening),
    }
    for (const [name, { good }] of await this.ask(message, "verdict", asked))
      if (good.length !== openings.size)
        throw new Error(`${name} holds ${good.length} checked shares of ${openings.size}.`)
  }

  /** A proposal of some facilities, over this leader's whole log. */
  proposal({ spec, submissions }: OpenAttempt, names: readonly string[]): Proposal {
    return {
      spec,
      cohort: names
        .map((name) => (submissions.get(name) as SignedSubmission).submission)
        .map((submission) => ({ facility: submission.facility, digest: submissionDigest(submission) }))
        .sort((a, b) => compareBytes(a.facility, b.facility)),
      headSeq: this.head.seq,
      head: this.head.hash,
      headers: [...this.headers],
    }
  }

  async signatures(
    proposal: Proposal,
    names: readonly string[] = this.names,
  ): Promise<ReadonlyMap<string, Uint8Array>> {
    const answers = await this.ask({ type: "propose", proposal, submissions: [] }, "signature", names)
    return new Map([...answers].map(([name, { signature }]) => [name, signature]))
  }

  certificate(
    proposal: Proposal,
    signatures: ReadonlyMap<string, Uint8Array>,
    openers: readonly string[] = [],
  ): MessageOf<"certificate"> {
    return {
      type: "certificate",
      proposal,
      signatures: this.#signed(signatures),
      openers: this.idsOf(openers),
    }
  }

  /** Ids of facilities, as lists of them are sent. */
  idsOf(names: readonly string[]): readonly Uint8Array[] {
    return names.map((name) => this.directory.named(name).id).sort(compareBytes)
  }

  /** The end of a log as the leader shows it when it is over, with who signed it. */
  finalHead(seq: number, head: Uint8Array, signatures: ReadonlyMap<string, Uint8Array>): CosignedHead {
    const { digest: roster } = this.directory
    return { seq, hash: head, signed: { type: "final" }, roster, signatures: this.#signed(signatures) }
  }

  #signed(signatures: ReadonlyMap<string, Uint8Array>): SignatureList {
    return [...signatures]
      .map(([name, signature]) => ({ facility: this.directory.named(name).id, signature }))
      .sort((a, b) => compareBytes(a.facility, b.facility))
  }

  /** The sum that some facilities' answers open. */
  sum(
    attempt: OpenAttempt,
    proposal: Proposal,
    partials: ReadonlyMap<string, MessageOf<"partial">>,
    ciphertexts: readonly string[] = [],
  ): string {
    const { study, directory } = this
    const { keys } = this.membership
    const digest = certificateDigest(proposal)
    const { epoch, attempt: number } = attempt.spec
    const setting = { study, directory, spec: attempt.digest, epoch, attempt: number, suite: nodeSuite }
    const cohort = proposal.cohort.map(({ facility }) => facility)
    const payloads = ciphertexts.map((name) => attempt.payloads.get(name) as Uint8Array)
    const answers = [...partials].map(([name, { sealed }]) => {
      const facility = directory.named(name)
      return { facility: facility.id, opening: openBetween(keys, facility.sealingKey, digest, sealed) }
    })
    const openers = payloads.length === 0 ? [] : this.idsOf([...partials.keys()])
    return protectionOf(study).combine(setting, { cohort, openers }, payloads, answers).join(",")
  }
}

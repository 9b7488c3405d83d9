import { toHex } from "@consilium/base/bytes"
import {
  certificateDigest,
  type Message,
  type MessageOf,
  type Proposal,
} from "@consilium/federation/messages"
import { initialModel } from "@consilium/federation/model"
import type { HostileCeremonies } from "./hostile-ceremony.js"
import { CeremonyScript, compare, same } from "./hostile-ceremony-script.js"
import type { OpenAttempt } from "./hostile-round.js"
import { GO_ON, WANTS_KILL } from "./hostile-script.js"

type Signatures = ReadonlyMap<string, Uint8Array>
type Partials = ReadonlyMap<string, MessageOf<"partial">>

/** A list that was certified and opened. */
interface OpenedList {
  readonly attempt: OpenAttempt
  readonly proposal: Proposal
  readonly signatures: Signatures
  readonly openers: readonly string[]
  readonly partials: Partials
}

/**
 * What a leader tries that wants more of a study under keys than its sums. It is the parent of all facilities and holds
 * every ciphertext by itself: a leader and all fogs in one hand.
 */
export class KeyScript {
  readonly leader: HostileCeremonies
  readonly #narrate: (line: string) => void
  readonly sums: Record<string, string> = {}
  readonly certified = new Map<string, string>()

  constructor(leader: HostileCeremonies, narrate: (line: string) => void) {
    this.leader = leader
    this.#narrate = narrate
  }

  /** One specification, one list and one set of openers for each attempt. */
  async firstRound(parameters: Float64Array): Promise<OpenedList> {
    const { leader } = this
    const { names } = leader
    const attempt = await leader.announce(1, 2, parameters)
    await this.#specifications(attempt, parameters)
    const all = leader.proposal(attempt, names)
    await leader.attack(
      "a sum that nobody was asked to certify",
      leader.certificate(all, new Map(), leader.openers),
    )
    const propose = (some: readonly string[]): Message =>
      leader.propose(attempt, leader.proposal(attempt, some))
    await leader.attack("a list of one: a facility's own update", propose(names.slice(0, 1)))
    await leader.attack("a list of two", propose(names.slice(0, 2)))
    const proposal = leader.proposal(attempt, names)
    const signatures = await leader.certified(attempt, proposal)
    await leader.attack("a second list in one attempt", propose(names.slice(1)))
    await this.#uncertified(attempt, proposal, signatures)
    return this.#openings(attempt, proposal, signatures)
  }

  /** A polynomial follows from the specification: one, and once. */
  async #specifications(attempt: OpenAttempt, parameters: Float64Array): Promise<void> {
    const { leader } = this
    const { round, attempt: number } = attempt.spec
    const same = leader.announcement(round, number, parameters)
    await leader.expectSilence("a polynomial used before: the same round announced again", same)
    const other = leader.announcement(
      round,
      number,
      parameters.map((value) => value + 1),
    )
    await leader.attack("the same round from another model", other)
    await leader.attack(
      "a list under another specification than was trained under",
      leader.propose(attempt, { ...leader.proposal(attempt, leader.names), spec: other.spec }),
    )
    const next = leader.announcement(round, number + 1, parameters)
    await leader.expectSilence(
      "a list under a specification that was not announced",
      leader.propose(attempt, { ...leader.proposal(attempt, leader.names), spec: next.spec }),
    )
  }

  /** What is no certificate, and whom none can name to open. */
  async #uncertified(attempt: OpenAttempt, all: Proposal, signatures: Signatures): Promise<void> {
    const { leader } = this
    const { names } = leader
    const three = [...signatures].slice(0, 3)
    const forged = leader.membership.keys.sign(certificateDigest(all))
    const openers = leader.openers
    const four = new Map([...signatures].slice(0, 4))
    const list = (some: readonly string[]) => leader.proposal(attempt, some)
    for (const [scenario, message] of [
      ["a sum with too few signatures", leader.certificate(all, new Map(three), openers)],
      [
        "a sum with forged signatures",
        leader.certificate(
          all,
          new Map([...three, ...names.slice(3).map((name) => [name, forged] as const)]),
          openers,
        ),
      ],
      [
        "a facility's own update under signatures for all",
        leader.certificate(list(names.slice(0, 1)), signatures, openers),
      ],
      ["all but one under signatures for all", leader.certificate(list(names.slice(1)), signatures, openers)],
      ["nobody named to open", leader.certificate(all, signatures)],
      ["fewer named than open a sum", leader.certificate(all, signatures, openers.slice(1))],
      ["more named than open a sum", leader.certificate(all, signatures, names)],
      ["one named to open who did not sign", leader.certificate(all, four, leader.otherOpeners)],
    ] as const)
      await leader.attack(scenario, message)
  }

  /** One answer of those who are named, and the same bytes for who asks again. */
  async #openings(attempt: OpenAttempt, proposal: Proposal, signatures: Signatures): Promise<OpenedList> {
    const { leader } = this
    const { names } = leader
    const openers = leader.openers
    const certificate = leader.certificate(proposal, signatures, openers)
    const partials = await leader.ask(certificate, "partial", openers, names)
    const opened = { attempt, proposal, signatures, openers, partials }
    this.#opened("round 1, attempt 2", opened, names)
    leader.note(
      "the answers for all, taken off the ciphertext of one",
      Object.fromEntries(names.map((name) => [name, leader.opens(attempt, proposal, partials, [name])])),
    )
    leader.note("the answers for all, taken off all ciphertexts but one", {
      leader: leader.opens(attempt, proposal, partials, names.slice(1)),
    })
    const again = await leader.ask(certificate, "partial", openers)
    compare(leader, "the same certificate again", openers, partials, again)
    await leader.attack(
      "other openers for a list that was answered",
      leader.certificate(proposal, signatures, leader.otherOpeners),
    )
    await leader.attack(
      "another list after the opening",
      leader.propose(attempt, leader.proposal(attempt, names.slice(1))),
    )
    return opened
  }

  /** Who was killed and comes back knows what its keys were used for. */
  async killed({ attempt, proposal, signatures, openers, partials }: OpenedList): Promise<void> {
    const { leader } = this
    const first = leader.names.slice(0, 1)
    this.#narrate(`${WANTS_KILL} ${first[0]}`)
    await leader.awaitFile(GO_ON)
    const again = await leader.ask(leader.certificate(proposal, signatures, openers), "partial", first)
    compare(leader, "the same certificate, to one that was killed since", first, partials, again)
    const others = [...leader.otherOpeners.slice(1), ...first]
    await leader.attack(
      "other openers, to one that was killed since",
      leader.certificate(proposal, signatures, others),
      first,
    )
    const { round, attempt: number } = attempt.spec
    await leader.expectSilence(
      "the same round announced again, to one that was killed since",
      leader.announcement(round, number, initialModel(leader.study)),
      first,
    )
  }

  /** A round done again: the same integers under other polynomials, for the same facilities or not at all. */
  async redone(parameters: Float64Array, before: OpenedList): Promise<OpenedList> {
    const { leader } = this
    const { names } = leader
    const attempt = await leader.announce(1, 3, parameters)
    leader.note(
      "the ciphertexts of a redone round",
      same(
        names,
        (name) => attempt.payloads.get(name),
        (name) => before.attempt.payloads.get(name),
      ),
    )
    for (const [who, cohort] of [
      ["first", names.slice(1)],
      ["last", names.slice(0, -1)],
    ] as const)
      await leader.attack(
        `a redone round without the ${who} facility`,
        leader.propose(attempt, leader.proposal(attempt, cohort)),
      )
    const proposal = leader.proposal(attempt, names)
    const signatures = await leader.certified(attempt, proposal)
    const openers = leader.otherOpeners
    const certificate = leader.certificate(proposal, signatures, openers)
    const partials = await leader.ask(certificate, "partial", openers, names)
    const opened = { attempt, proposal, signatures, openers, partials }
    this.#opened("round 1, attempt 3", opened, names)
    leader.note("the answers for one attempt, taken off the ciphertexts of another", {
      leader: leader.opens({ ...attempt, payloads: before.attempt.payloads }, proposal, partials, names),
    })
    return opened
  }

  /** New keys: nothing is done under the old ones any more. */
  async rotated(parameters: Float64Array, { proposal, signatures, openers }: OpenedList): Promise<void> {
    const { leader } = this
    const old = leader.epoch
    await leader.newKeys(old + 1)
    await leader.attack(
      "a round under the keys of an epoch that is over",
      leader.announcement(2, 1, parameters, old),
    )
    await leader.expectSilence(
      "the certificate of a list under old keys again",
      leader.certificate(proposal, signatures, openers),
    )
    await leader.expectSilence("a ceremony for an epoch that is over", leader.ceremony(old))
    await leader.attack(
      "a round under the keys of an epoch to come",
      leader.announcement(2, 1, parameters, old + 2),
    )
  }

  /** Two lists in one attempt, each shown to some. */
  async twoLists(parameters: Float64Array): Promise<void> {
    const { leader } = this
    const { names } = leader
    const [first, ...rest] = names as readonly [string, ...string[]]
    const attempt = await leader.announce(2, 2, parameters)
    const all = leader.proposal(attempt, names)
    const forAll = await leader.certified(attempt, all, [first])
    const four = leader.proposal(attempt, names.slice(0, -1))
    const forFour = await leader.certified(attempt, four, rest)
    await leader.attack(
      "a valid certificate for the list that others signed",
      leader.certificate(four, forFour, rest),
      [first],
    )
    await leader.attack(
      "a certificate of signatures for two lists",
      leader.certificate(all, new Map([...forAll, ...forFour]), rest),
    )
    const partials = await leader.ask(leader.certificate(four, forFour, rest), "partial", rest)
    const opened = { attempt, proposal: four, signatures: forFour, openers: rest, partials }
    this.#opened("round 2, attempt 2", opened, names.slice(0, -1))
    const next = await leader.announce(2, 3, parameters)
    await leader.attack(
      "one facility more than in a certified list",
      leader.propose(next, leader.proposal(next, names)),
      rest,
    )
    await leader.attack(
      "one facility fewer than in a list that was signed but never certified",
      leader.propose(next, leader.proposal(next, names.slice(0, -1))),
      [first],
    )
  }

  /** Runs the script; the reason if it does not come to its end. */
  async run(): Promise<string | null> {
    const first = initialModel(this.leader.study)
    const second = first.map((value, i) => value + 0.001 * (i + 1))
    try {
      const ceremonies = new CeremonyScript(this.leader)
      await ceremonies.uncertified(first)
      await ceremonies.certified(2)
      const opened = await this.firstRound(first)
      await this.killed(opened)
      const redone = await this.redone(first, opened)
      await this.rotated(second, redone)
      await this.twoLists(second)
      this.leader.broadcast({ type: "ended", reason: "The script is over.", head: null })
      return null
    } catch (error) {
      return String(error)
    }
  }

  #opened(label: string, { attempt, proposal, partials }: OpenedList, names: readonly string[]): void {
    this.certified.set(toHex(certificateDigest(proposal)), label)
    this.sums[label] = this.leader.sum(attempt, proposal, partials, names)
  }
}

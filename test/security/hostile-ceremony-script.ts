import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { type Message, messageCodec } from "@consilium/federation/messages"
import type { HostileCeremonies } from "./hostile-ceremony.js"
import type { HostileLeader } from "./hostile-leader.js"
import type { OpenAttempt } from "./hostile-round.js"

/** What a dishonest leader tries in key ceremonies. */
export class CeremonyScript {
  readonly leader: HostileCeremonies

  constructor(leader: HostileCeremonies) {
    this.leader = leader
  }

  /** A ceremony whose keys are never certified. */
  async uncertified(parameters: Float64Array): Promise<void> {
    const { leader } = this
    const { names } = leader
    const attempt = await leader.announceKeys(1)
    await leader.attack("a list of two keys to be challenged", leader.list(attempt, names.slice(0, 2)))
    const openings = await leader.ask(leader.list(attempt, names), "opening")
    await leader.attack("a second challenge for one key", leader.list(attempt, names.slice(1)))
    await leader.passOn(attempt, openings)
    await this.#tests(attempt)
    await leader.attack("a round under keys that nobody certified", leader.announcement(1, 1, parameters, 1))
  }

  /** Keys are tested once, by t who dealt them, and only those that were are certified. */
  async #tests(attempt: OpenAttempt): Promise<void> {
    const { leader } = this
    const { names } = leader
    const tested = names.slice(0, 4)
    const propose = (some: readonly string[]): Message => ({
      type: "propose",
      proposal: leader.proposal(attempt, some),
      submissions: [],
    })
    await leader.attack("keys to be certified before they were tested", propose(names))
    await leader.attack("a test of two keys", leader.keyTest(attempt, names.slice(0, 2), leader.openers))
    await leader.attack(
      "a test by fewer than open a sum",
      leader.keyTest(attempt, names, leader.openers.slice(1)),
    )
    const stranger = leader.directory.leader.name
    await leader.attack(
      "a test by somebody who dealt no key",
      leader.keyTest(attempt, names, [...leader.openers.slice(1), stranger]),
    )
    const test = leader.keyTest(attempt, tested, leader.openers)
    const first = await leader.ask(test, "key-tested")
    compare(leader, "the same test again", names, first, await leader.ask(test, "key-tested"))
    await leader.attack("a second test, by others", leader.keyTest(attempt, tested, leader.otherOpeners))
    await leader.attack("a second test, of other keys", leader.keyTest(attempt, names, leader.openers))
    await leader.attack("a key to be certified that was not tested", propose(names))
  }

  /** Keys that are certified in the end. */
  async certified(epoch: number): Promise<void> {
    const { leader } = this
    const { names } = leader
    const named = leader.ceremony(epoch)
    await leader.attack("a ceremony that names a model", {
      ...named,
      spec: { ...named.spec, model: new Uint8Array(32).fill(1) },
    })
    const attempt = await leader.announceKeys(epoch)
    await leader.attack("a second specification of one ceremony", {
      ...named,
      spec: { ...named.spec, round: 2 },
    })
    await leader.check(attempt)
    await leader.ask(leader.keyTest(attempt, names, leader.openers), "key-tested")
    const propose = (some: readonly string[]): Message => ({
      type: "propose",
      proposal: leader.proposal(attempt, some),
      submissions: [],
    })
    await leader.attack("a list of two keys to be certified", propose(names.slice(0, 2)))
    const proposal = leader.proposal(attempt, names)
    const signatures = await leader.signatures(proposal)
    await leader.attack("a second list of keys", propose(names.slice(1)))
    await leader.attack(
      "keys with too few signatures",
      leader.certificate(proposal, new Map([...signatures].slice(0, 3))),
    )
    leader.beginEpoch(proposal, signatures)
  }
}

/** Notes whether some answers are the same as others, byte by byte. */
export const compare = (
  leader: HostileLeader,
  scenario: string,
  names: readonly string[],
  a: ReadonlyMap<string, Message>,
  b: ReadonlyMap<string, Message>,
): void => {
  const bytes = (of: ReadonlyMap<string, Message>) => (name: string) =>
    encode(messageCodec, of.get(name) as Message)
  leader.note(scenario, same(names, bytes(a), bytes(b)))
}

export const same = (
  names: readonly string[],
  a: (name: string) => Uint8Array | undefined,
  b: (name: string) => Uint8Array | undefined,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    names.map((name) => {
      const [one, other] = [a(name), b(name)] as [Uint8Array, Uint8Array]
      return [name, toHex(one) === toHex(other) ? "same bytes" : "other bytes"]
    }),
  )

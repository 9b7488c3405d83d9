import type { Message } from "@consilium/federation/messages"

type Names = (id: Uint8Array) => string

const counted = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`
const facilities = (n: number): string => counted(n, "facility", "facilities")

/** Names as people list them: "a", "a and b", "a, b and c". */
export const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`

/**
 * What a message says in a study whose updates are encrypted, where it is about keys; null where it is about a round. Shares
 * are dealt, challenged and checked in key ceremonies only.
 */
export const keySentence = (nameOf: Names, name: string, message: Message): string | null => {
  switch (message.type) {
    case "announce": {
      const { purpose, round, epoch, attempt } = message.spec
      return purpose === "keys"
        ? `A key ceremony begins, before round ${round} and for epoch ${epoch}, attempt ${attempt}: every facility makes a new key.`
        : null
    }
    case "submit":
      return `${name} made a key, and committed itself to the sealed shares of it that it sent the others.`
    case "lock":
      return `The list of ${counted(message.submissions.length, "key", "keys")} is fixed; whoever made one now shows that its shares fit together.`
    case "opening":
      return `${name} answered the challenge on the shares of its key.`
    case "verdict":
      return `${name} checked the shares of keys that it got: ${message.good.length} good, ${message.complaints.length} disputed.`
    case "key-test":
      return `The keys of ${facilities(message.dealers.length)} are put to the test: each encrypts zero, which ${listed(message.openers.map(nameOf))} open together.`
    case "key-tested": {
      const { test, answers } = message
      const opened = answers.length === 0 ? [] : [`gave its part in opening ${answers.length}`]
      return `${name} ${listed([...(test === null ? [] : ["encrypted zero under its key"]), ...opened]) || "had nothing to test"}.`
    }
    case "propose": {
      const { spec, cohort } = message.proposal
      return spec.purpose === "keys"
        ? `The leader asks every facility to sign the list of ${facilities(cohort.length)} whose keys epoch ${spec.epoch} begins with.`
        : null
    }
    case "certificate": {
      const { spec, cohort } = message.proposal
      return spec.purpose === "keys"
        ? `${facilities(message.signatures.length)} signed: epoch ${spec.epoch} begins with the keys of ${cohort.length}${spec.epoch === 1 ? "" : ", and every facility destroys what it held of earlier ones"}.`
        : null
    }
    default:
      return null
  }
}

import { toHex } from "@consilium/base/bytes"
import { decode, f64Array } from "@consilium/base/encoding"
import { type Audit, LogAudit } from "../src/audit.js"
import type { LogEntry } from "../src/log.js"
import type { CosignedHead, Message } from "../src/messages.js"
import { MAX_VALUES, valueCount } from "../src/study.js"
import type { Options, Outcome, Training, Utterance } from "./harness.js"
import { runStudy } from "./harness.js"
import { authorityKey, suite } from "./members.js"

type Speak = NonNullable<Options["speak"]>
type MessageType = Message["type"]

/** Somebody who stops speaking at the first message of some type, and says nothing from then on. */
export const silentFrom = (name: string, type: MessageType | "start"): Speak => {
  let silent = type === "start"
  return (utterance) => {
    if (utterance.by !== name) return [utterance]
    silent ||= utterance.message.type === type
    return silent ? [] : [utterance]
  }
}

/** The speech of several at once. */
export const together =
  (...all: readonly Speak[]): Speak =>
  (utterance) =>
    all.reduce<readonly Utterance[]>((said, speak) => said.flatMap((one) => speak(one)), [utterance])

/** What one participant says instead of a type of message. */
export const insteadOf =
  <T extends MessageType>(
    name: string,
    type: T,
    say: (message: Extract<Message, { type: T }>, utterance: Utterance) => readonly Message[],
  ): Speak =>
  (utterance) =>
    utterance.by === name && utterance.message.type === type
      ? say(utterance.message as Extract<Message, { type: T }>, utterance).map((message) => ({
          ...utterance,
          message,
        }))
      : [utterance]

/** The integers that each facility trained, by attempt's round and attempt. */
export class Trainings {
  readonly all: Training[] = []
  readonly listen = (training: Training): Record<string, never> => {
    this.all.push(training)
    return {}
  }
  /** The last integers of a facility for a model. */
  of(facility: string, model: Uint8Array): Int32Array {
    const found = this.all
      .filter((t) => t.facility === facility && toHex(t.spec.model) === toHex(model))
      .at(-1)
    if (!found) throw new Error(`${facility} trained nothing for this model.`)
    return found.values
  }
}

export interface OpenedSum {
  readonly cohort: readonly string[]
  readonly model: Uint8Array
  readonly sum: readonly bigint[]
}

/** Every sum that the leader opened, with the list it was certified over. */
export const openedSums = ({ log, said, nameOf }: Outcome): readonly OpenedSum[] => {
  const certificates = said.flatMap(({ by, message }) =>
    by === "leader" && message.type === "certificate" ? [message.proposal] : [],
  )
  const order = log.filter(({ header }) => header.type === "certificate" || header.type === "sum-opened")
  let certified = -1
  return order.flatMap(({ header, body }) => {
    if (header.type === "certificate") {
      certified += 1
      return []
    }
    const proposal = certificates[certified]
    if (!proposal) throw new Error("A sum was opened that no list was certified for.")
    return [
      {
        cohort: proposal.cohort.map((member) => nameOf(member.facility)),
        model: proposal.spec.model,
        sum: [...decode(f64Array(MAX_VALUES), body)].map(BigInt),
      },
    ]
  })
}

/** What the opened sums are to be: the sums, in whole numbers, of what the cohorts trained. */
export const trainedSums = (outcome: Outcome, trainings: Trainings): readonly (readonly bigint[])[] =>
  openedSums(outcome).map(({ cohort, model }) =>
    Array.from({ length: valueCount(outcome.study) }, (_, j) =>
      cohort.reduce((sum, name) => sum + BigInt(trainings.of(name, model)[j] as number), 0n),
    ),
  )

/** The model after each closed round, in hexadecimal. */
export const models = ({ leader }: Outcome): readonly string[] =>
  leader.progress.closed.map(({ model }) => toHex(model))

/** The facilities of each closed round. */
export const cohorts = ({ leader, nameOf }: Outcome): readonly (readonly string[])[] =>
  leader.progress.closed.map(({ cohort }) => cohort.map(nameOf).sort())

/** The reasons for which attempts were void. */
export const voids = ({ said }: Outcome): readonly string[] =>
  said.flatMap(({ message }) => (message.type === "void" ? [message.reason] : []))

/** Types of the leader's log that tell of something wrong, with whom they name. */
export const evidence = ({ log, nameOf }: Outcome): readonly string[] =>
  log
    .filter(({ header }) => /^(security|dealer-excluded|dropped:)/.test(header.type))
    .map(({ header }) => `${header.type} ${nameOf(header.actor)}`)

const undisturbed = new Map<string, Outcome>()
/** The run in which nothing goes wrong. */
export const calm = (options: Options): Outcome => {
  const name = JSON.stringify(options)
  const outcome = undisturbed.get(name) ?? runStudy(options)
  undisturbed.set(name, outcome)
  return outcome
}

/** What a stranger finds in the log of a run, or in another of that study, beside heads that facilities kept. */
export const audited = (
  { study, directory, log }: Pick<Outcome, "study" | "directory" | "log">,
  entries: readonly LogEntry[] = log,
  heads: readonly CosignedHead[] = [],
): Audit => {
  const audit = new LogAudit({ suite, study, directory, authorityKey, heads })
  for (const entry of entries) audit.next(entry)
  return audit.finish()
}

/** The co-signed heads that all facilities of a run kept. */
export const keptHeads = ({ cosigned }: Outcome): readonly CosignedHead[] => [...cosigned.values()].flat()

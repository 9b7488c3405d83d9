import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { ROTATION_ASKED } from "@consilium/federation/leader-keys"
import { RELEASED, releaseCodec } from "@consilium/federation/leader-release"
import { STOPPED, stopCodec } from "@consilium/federation/leader-stop"
import type { LogEntry } from "@consilium/federation/log"
import type { Message, RoundSpec } from "@consilium/federation/messages"
import type { Directory } from "@consilium/federation/roster"
import { isKeyed } from "@consilium/federation/study"
import { keySentence, listed } from "./key-sentences.js"
import type { StudyHandle } from "./leader-service.js"
import { messageOf, rotationIn } from "./logged.js"
import type { EventView } from "./study-view.js"
import { nameIn, timeOf } from "./view-fold.js"

type Told = Pick<StudyHandle, "study" | "rosters">

/** One logged event, in words. */
export const eventView = (handle: Told & Pick<StudyHandle, "id">, entry: LogEntry): EventView => {
  const { seq, at, type, actor } = entry.header
  const rosters = handle.rosters()
  return {
    study: handle.id,
    seq,
    at: timeOf(at),
    type,
    actor: nameIn(rosters, actor),
    says: sentence(handle, entry),
  }
}

const counted = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`
const facilities = (n: number): string => counted(n, "facility", "facilities")

const sentence = (handle: Told, entry: LogEntry): string => {
  const { type, actor } = entry.header
  const rosters = handle.rosters()
  const keyed = isKeyed(handle.study)
  const name = nameIn(rosters, actor)
  const [kind = "", ...rest] = type.split(":")
  const about = rest.join(":")
  if (about !== "" && kind === "security")
    return `Something that must not happen came in the name of ${name}: ${about}.`
  if (about !== "" && kind === "dropped")
    return `A message of ${name} (${about}) did not belong to this moment and was dropped.`
  if (type === "dealer-excluded")
    return keyed
      ? `${name} is left out: a share of its key was false, or the test of its key failed.`
      : `${name} dealt a false share and sits this attempt out.`
  if (type === "sum-opened") return "The sum over the certified facilities was opened."
  if (type === "aborted") return "The leader gave the study up."
  if (type === RELEASED) return releaseSentence(entry)
  if (type === STOPPED) return stopSentence(entry)
  if (type === ROTATION_ASKED) {
    const asked = rotationIn(entry)
    if (asked !== null) return `${asked.by} asked for new keys before the next round: ${asked.reason}`
  }
  const logged = messageOf(entry)
  if (logged === null) return `An event of a kind that this version does not know: ${type}.`
  const { message } = logged
  const ofKeys = keyed ? keySentence((id) => nameIn(rosters, id), name, message) : null
  return ofKeys ?? messageSentence(rosters, name, message)
}

const releaseSentence = ({ body }: LogEntry): string => {
  const { round, model, by, reason } = decode(releaseCodec, body)
  return `${by} made the model of round ${round} the one in use, ${toHex(model).slice(0, 16)}: ${reason}`
}

const stopSentence = ({ body }: LogEntry): string => {
  const { rounds, model, by, via, reason } = decode(stopCodec, body)
  return `${by} (${via}) stopped the study after ${counted(rounds, "closed round", "closed rounds")}, with the model ${toHex(model).slice(0, 16)}: ${reason}`
}

const announced = (spec: RoundSpec): string => {
  const attempt = spec.attempt === 1 ? "" : `, attempt ${spec.attempt}`
  if (spec.purpose === "statistics")
    return `Before training${attempt}, everyone is asked for its part in statistics of all training patients together.`
  if (spec.purpose === "evaluation")
    return `After round ${spec.round}${attempt}, everyone is asked for its part in an evaluation of the model on all held-out patients together.`
  return `Round ${spec.round}, attempt ${spec.attempt}, begins: the leader sent everyone the current model.`
}

const messageSentence = (rosters: readonly Directory[], name: string, message: Message): string => {
  switch (message.type) {
    case "announce":
      return announced(message.spec)
    case "lock":
      return `The list of ${counted(message.submissions.length, "update", "updates")} is fixed; whoever dealt shares now shows that they fit together.`
    case "openings":
      return `The answers of ${facilities(message.openings.length)} to the challenge were shown to everyone.`
    case "propose":
      return `The leader asks every facility to sign the list of ${facilities(message.proposal.cohort.length)} whose sum is to be opened.`
    case "certificate":
      return `${facilities(message.signatures.length)} signed the list of ${message.proposal.cohort.length}: their sum, and nothing else, may be opened${message.openers.length === 0 ? "" : `, by ${listed(message.openers.map((id) => nameIn(rosters, id)))} together`}.`
    case "candidate":
      return "A new model was made from the sum and sent to everyone."
    case "void":
      return `The attempt is void: ${message.reason}.`
    case "closed":
      return `The round is closed with the model ${toHex(message.accepted).slice(0, 16)}.`
    case "finish":
      return `After ${counted(message.rounds, "round", "rounds")} the final model was sent to everyone.`
    case "ended":
      return `The study has ended: ${message.reason}`
    case "roster":
      return "The authority changed the list of participants; it holds from the next round on."
    case "ledger-known": {
      const [newest] = message.evidence
      const facility = newest && nameIn(rosters, newest.submission.submission.facility)
      return facility === undefined
        ? "The leader told a facility that nothing of its privacy ledger was seen yet."
        : `The leader showed ${facility} what was seen of its privacy ledger: it has had ${counted(newest?.submission.submission.ledger?.seq ?? 0, "entry", "entries")}.`
    }
    case "ledger-asked":
      return `${name} asked what was seen of its privacy ledger, before it spends any privacy.`
    case "submit":
      return `${name} sent its update as sealed shares and committed itself to them.`
    case "update":
      return `${name} sent its update straight to the leader.`
    case "region":
      return `${name} sent the sum of the updates of ${facilities(message.submissions.length)}.`
    case "opening":
      return `${name} answered the challenge on the shares it dealt.`
    case "verdict":
      return `${name} checked the shares it holds: ${message.good.length} good, ${message.complaints.length} disputed.`
    case "signature":
      return `${name} signed the list.`
    case "partial":
      return `${name} gave its part of the opening.`
    case "report":
      return message.metrics === null
        ? `${name} keeps its figures on the new model to itself.`
        : `${name} tested the new model on its held-out patients.`
    case "final-report":
      return message.global === null
        ? `${name} has the final model and keeps its figures to itself.`
        : `${name} tested the final model on its held-out patients.`
    case "refusal":
      return `${name} refused: ${message.reason} (${message.code})`
    case "traffic": {
      const { update, relayed, opening, metadata } = message.received
      return `${name} counted ${update + relayed + opening + metadata} bytes from its facilities.`
    }
    case "security":
      return `${name} saw something that must not happen: ${message.code}, about ${nameIn(rosters, message.about)}.`
    default:
      return `${name} said something of a kind that this version has no words for: ${message.type}.`
  }
}

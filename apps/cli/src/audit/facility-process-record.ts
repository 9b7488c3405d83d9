import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { type Charge, chargeCodec } from "@consilium/federation/charge"
import { type LogEntry, logEntryCodec } from "@consilium/federation/log"
import {
  envelopeCodec,
  type Message,
  messageCodec,
  type RoundSpec,
  specDigest,
} from "@consilium/federation/messages"
import { participantId } from "@consilium/federation/roster"
import { CHARGED } from "@consilium/node/privacy-ledger"
import { CHAIN_START, readSegment } from "@consilium/node/store/segment-format"

/** An update as its facility sent it, readable because the study protects nothing. */
export interface SentUpdate {
  readonly facility: string
  readonly spec: RoundSpec
  /** Hash of the newest entry of the facility's privacy ledger when it sent this; empty if it named none. */
  readonly ledger: string
  readonly values: Int32Array
}

/** What a parent was sent, by its own log. */
export interface Received {
  /** In the order in which they were announced. */
  readonly announced: readonly RoundSpec[]
  readonly updates: readonly SentUpdate[]
}

/** The events in the log of a role's only study, whether the role runs or not; none before there is any. */
const logOf = async (folder: string, name: string): Promise<readonly LogEntry[]> => {
  const studies = join(folder, name, "data/studies")
  const [study] = await readdir(studies).catch(() => [])
  if (study === undefined) return []
  const log = join(studies, study, "log")
  const files = (await readdir(log).catch(() => [])).sort()
  const entries: LogEntry[] = []
  let chain: Uint8Array = CHAIN_START
  for (const [i, file] of files.entries()) {
    const bytes = new Uint8Array(await readFile(join(log, file)))
    const segment = readSegment(bytes, { file, index: i + 1, chain, last: i === files.length - 1 })
    for (const record of segment.transactions.flat()) entries.push(decode(logEntryCodec, record))
    chain = segment.chain
  }
  return entries
}

const messageOf = ({ body }: LogEntry): Message => decode(messageCodec, decode(envelopeCodec, body).body)

const integersOf = (payload: Uint8Array): Int32Array => {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  return Int32Array.from({ length: payload.length / 4 }, (_, i) => view.getInt32(4 * i, true))
}

/** What a fog was sent by facilities of these names. */
export const receivedBy = async (
  folder: string,
  fog: string,
  facilities: readonly string[],
): Promise<Received> => {
  const names = new Map(facilities.map((name) => [toHex(participantId(name)), name]))
  const specs = new Map<string, RoundSpec>()
  const updates: SentUpdate[] = []
  for (const entry of await logOf(folder, fog)) {
    if (entry.header.type !== "announce" && entry.header.type !== "update") continue
    const message = messageOf(entry)
    if (message.type === "announce") specs.set(toHex(specDigest(message.spec)), message.spec)
    if (message.type !== "update") continue
    const { spec, ledger } = message.submission.submission
    const announced = specs.get(toHex(spec))
    const facility = names.get(toHex(entry.header.actor))
    if (announced === undefined || facility === undefined) continue
    updates.push({
      facility,
      spec: announced,
      ledger: ledger === null ? "" : toHex(ledger.hash),
      values: integersOf(message.payload),
    })
  }
  return { announced: [...specs.values()], updates }
}

/** What a facility charged, by its own log, in the order in which it did. */
export const chargesOf = async (folder: string, facility: string): Promise<readonly Charge[]> =>
  (await logOf(folder, facility))
    .filter(({ header }) => header.type === CHARGED)
    .map(({ body }) => decode(chargeCodec, body))

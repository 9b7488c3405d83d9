import { dirname, resolve } from "node:path"
import { decode, encode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { messageCodec, pack, submissionMessage } from "@consilium/federation/messages"
import { facilityFileSchema, storageKeyOf } from "@consilium/node/config/role-files"
import { readConfig } from "@consilium/node/config/yaml-file"
import { loadOrCreateKeys } from "@consilium/node/identity/keys"
import { openSealed } from "@consilium/node/roles/membership"
import { startFacility } from "@consilium/node/roles/start"
import { ParentLink } from "@consilium/node/transport/parent-link"
import { parcelCodec, receiptCodec } from "@consilium/node/transport/wire"

// The program of a facility with a real kit, whose machine is honest and whose connection is not: what it sends over it is
// changed as DEED says. It runs in place of `consilium facility start` and tells what it did and what was answered.

const configPath = process.argv[process.argv.indexOf("--config") + 1]
const narrate = (line) => process.stderr.write(`${new Date().toISOString()} facility: ${line}\n`)
const { DEED } = process.env
const exchange = ParentLink.prototype.exchange

/** Envelopes sent beyond the honest ones: they take numbers of their own. */
let added = 0
/** Every honest envelope that was sent. */
const sent = []
/** Every envelope of the leader that came. */
const heard = []

const typeOf = ({ body }) => decode(messageCodec, body).type
const flipped = (bytes, bit) => {
  const out = bytes.slice()
  out[Math.floor(bit / 8)] ^= 1 << (bit % 8)
  return out
}

const ownKeys = async () => {
  const config = await readConfig(facilityFileSchema, configPath)
  const folder = resolve(dirname(resolve(configPath)), config.data_folder)
  return loadOrCreateKeys(await openSealed(folder, storageKeyOf(config.storage_key, configPath)))
}

/** Another update than the honest one, as properly signed. */
const contradiction = async (envelope) => {
  const { sign } = await ownKeys()
  const message = decode(messageCodec, envelope.body)
  const signed = (submission) => ({ submission, signature: sign(submissionMessage(submission)) })
  if (message.type === "submit") {
    const [first, ...rest] = message.submission.parts
    const parts = [{ ...first, digest: flipped(first.digest, 0) }, ...rest]
    const other = { type: "submit", ...signed({ ...message.submission, parts }) }
    return pack(envelope.study, envelope.from, envelope.to, other, sign)
  }
  const payload = flipped(message.payload, 8 * (message.payload.length - 1))
  const submission = { ...message.submission.submission, direct: sha256(payload) }
  return pack(
    envelope.study,
    envelope.from,
    envelope.to,
    { type: "update", submission: signed(submission), payload },
    sign,
  )
}

/** What one can do with a parcel; each gives way to the honest parcel in the end. */
const DEEDS = {
  async duplicate({ first, envelopes, send }) {
    await send("the parcel", first + added, envelopes)
    await Promise.all([
      send("it again", first + added, envelopes),
      send("and again", first + added, envelopes),
    ])
  },
  async replay({ first, send }) {
    await send("old messages under their old numbers", 1, sent)
    if (heard.length > 0) await send("messages of the leader", first + added, heard)
    const old = sent.slice(-4)
    await send("old messages under new numbers", first + added, old)
    added += old.length
  },
  async reorder({ first, envelopes, send }) {
    await send("the message after the next", first + added + 1, envelopes)
    await send("a message far ahead", first + added + 1000, envelopes)
  },
  async truncate({ first, envelopes, send, raw }) {
    const whole = encode(parcelCodec, { first: first + added, envelopes })
    for (const length of [0, 1, whole.length >> 1, whole.length - 1])
      await raw(`the first ${length} of ${whole.length} bytes`, whole.slice(0, length))
    await raw("a byte too many", Uint8Array.of(...whole, 0))
    const cut = envelopes.map((envelope) => ({ ...envelope, body: envelope.body.slice(0, -1) }))
    await send("messages without their last byte", first + added, cut)
    added += cut.length
  },
  async flip({ first, envelopes, send }) {
    const each = (change) => envelopes.map(change)
    await send(
      "messages of somebody else",
      first + added,
      each((e) => ({ ...e, from: flipped(e.from, 3) })),
    )
    await send(
      "messages of another study",
      first + added,
      each((e) => ({ ...e, study: flipped(e.study, 3) })),
    )
    const bad = [
      ...each((e) => ({ ...e, body: flipped(e.body, 8 * (e.body.length >> 1) + 3) })),
      ...each((e) => ({ ...e, to: flipped(e.to, 3) })),
      ...each((e) => ({ ...e, signature: flipped(e.signature, 77) })),
    ]
    await send("messages with a bit turned over", first + added, bad)
    added += bad.length
  },
  async equivocate({ first, envelopes, send }) {
    const updates = envelopes.filter((envelope) => ["submit", "update"].includes(typeOf(envelope)))
    if (updates.length === 0 || added > 0) return
    const others = await Promise.all(updates.map(contradiction))
    await send("another update", first + added, others)
    added += others.length
  },
  async late({ envelopes }) {
    if (!envelopes.some((envelope) => typeOf(envelope) === "submit") || sent.length > 0) return
    narrate("deed: holds its update back")
    while (!heard.some((envelope) => typeOf(envelope) === "lock"))
      await new Promise((resolve) => setTimeout(resolve, 20))
    narrate("deed: the list is fixed; sends its update")
  },
}

ParentLink.prototype.exchange = async function (call) {
  if (!call.path.includes("/messages")) return exchange.call(this, call)
  if (call.method === "GET") {
    const answer = await exchange.call(this, call)
    heard.push(...decode(parcelCodec, answer.body).envelopes)
    return answer
  }
  const { first, envelopes } = decode(parcelCodec, call.body)
  const raw = (what, body) =>
    exchange.call(this, { ...call, body }).then(
      (answer) => narrate(`deed: ${what}: taken up to ${decode(receiptCodec, answer.body).taken}`),
      (error) => narrate(`deed: ${what}: ${error.message}`),
    )
  const send = (what, at, some) => raw(what, encode(parcelCodec, { first: at, envelopes: some }))
  await DEEDS[DEED]({ first, envelopes, send, raw })
  await exchange.call(this, { ...call, body: encode(parcelCodec, { first: first + added, envelopes }) })
  sent.push(...envelopes)
  return { body: encode(receiptCodec, { taken: first + envelopes.length - 1 }), headers: {} }
}

await startFacility({ configPath, patience: 120_000, narrate, stop: new AbortController().signal })

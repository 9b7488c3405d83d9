import { access, mkdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { fromHex, toHex } from "@consilium/base/bytes"
import {
  decode,
  type Encoded,
  encode,
  fixedBytes,
  list,
  nullable,
  record,
  text,
  u53,
} from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import { isoTime, timestamp } from "@consilium/base/units"
import { MAX_PARTICIPANTS, type Role, roleCodec } from "@consilium/federation/roster"
import { z } from "zod"
import { makePrivateFolder, storeError, writeFileAtomic } from "../store/files.js"
import type { SealedFiles } from "../store/sealed.js"
import { checkDifferent, checkedName, isRole } from "./names.js"
import { ed25519Verify } from "./suite.js"

const kitCodec = record({
  study: text(256),
  name: text(64),
  role: roleCodec,
  parent: nullable(text(64)),
  authorityName: text(64),
  authorityUrl: text(512),
  authorityKey: fixedBytes(32),
  caFingerprint: fixedBytes(32),
  token: fixedBytes(32),
  expires: u53,
})

/**
 * The credentials of one participant: how it knows the authority, and how the authority knows it once. The token is a
 * secret until it is used; who hands over a kit should do so in person or over a channel that the receiver trusts.
 */
export type Kit = Encoded<typeof kitCodec>

const kitMessage = (kit: Kit): Uint8Array => hash("kit", encode(kitCodec, kit))

/** What the authority keeps of a token. */
const ticketCodec = record({
  name: text(64),
  role: roleCodec,
  parent: nullable(text(64)),
  tokenHash: fixedBytes(32),
  expires: u53,
})
export type Ticket = Encoded<typeof ticketCodec>

/** What the authority compares: tokens themselves are not stored. */
export const tokenHash = (token: Uint8Array): Uint8Array => hash("enrolment-token", token)

const hex = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`))
export const tokenText = z.string().regex(/^[A-Za-z0-9_-]{43}$/)

const kitFileSchema = z.strictObject({
  format: z.literal("consilium-kit/1"),
  study: z.string(),
  participant: z.string(),
  role: z.string().refine(isRole),
  parent: z.string().nullable(),
  authority: z.strictObject({
    name: z.string(),
    url: z.string(),
    signingKey: hex(32),
    caFingerprint: hex(32),
  }),
  token: tokenText,
  expires: z.iso.datetime(),
  signature: hex(64),
})

const kitText = (kit: Kit, signature: Uint8Array): string =>
  `${JSON.stringify(
    {
      format: "consilium-kit/1",
      study: kit.study,
      participant: kit.name,
      role: kit.role,
      parent: kit.parent,
      authority: {
        name: kit.authorityName,
        url: kit.authorityUrl,
        signingKey: toHex(kit.authorityKey),
        caFingerprint: toHex(kit.caFingerprint),
      },
      token: Buffer.from(kit.token).toString("base64url"),
      expires: isoTime(timestamp(kit.expires)),
      signature: toHex(signature),
    } satisfies z.input<typeof kitFileSchema>,
    null,
    2,
  )}\n`

/**
 * The kit of a `kit.json`. The signature is by the key in the kit itself: it shows that the file was not edited since it
 * was made; that the right person made it is for the way it was handed over to ensure.
 * @throws {ConsiliumError} "identity/bad-kit"
 */
export const parseKit = (json: string): Kit => {
  let file: z.output<typeof kitFileSchema>
  try {
    file = kitFileSchema.parse(JSON.parse(json))
  } catch (error) {
    // the library's messages may quote the text, and the text holds the token
    const where =
      error instanceof z.ZodError ? error.issues.map((issue) => issue.path.join(".")).join(", ") : "JSON"
    throw new ConsiliumError("identity/bad-kit", `A kit cannot be read: ${where} is not as it should be.`)
  }
  const kit: Kit = {
    study: file.study,
    name: file.participant,
    role: file.role as Role,
    parent: file.parent,
    authorityName: file.authority.name,
    authorityUrl: file.authority.url,
    authorityKey: fromHex(file.authority.signingKey),
    caFingerprint: fromHex(file.authority.caFingerprint),
    token: new Uint8Array(Buffer.from(file.token, "base64url")),
    expires: Date.parse(file.expires),
  }
  if (!ed25519Verify(kit.authorityKey, kitMessage(kit), fromHex(file.signature)))
    throw new ConsiliumError(
      "identity/bad-kit",
      `The kit of ${JSON.stringify(kit.name)} was changed after it was signed.`,
    )
  checkedName(kit.name)
  checkedName(kit.authorityName)
  return kit
}

/** Reads the kit of a participant's folder (the one that holds `kit/`). */
export const readKit = async (folder: string): Promise<Kit> => {
  const path = join(folder, "kit", "kit.json")
  let json: string
  try {
    json = await readFile(path, "utf8")
  } catch (cause) {
    throw new ConsiliumError("identity/bad-kit", `The kit ${path} cannot be opened.`, { cause })
  }
  return parseKit(json)
}

export interface KitPlan {
  /** Where the participants' folders are made. */
  readonly folder: string
  readonly study: string
  readonly authority: {
    readonly name: string
    /** Such as https://authority.example:8440 */
    readonly url: string
    readonly caFingerprint: Uint8Array
    readonly signingKey: Uint8Array
    sign(message: Uint8Array): Uint8Array
  }
  readonly participants: readonly {
    readonly name: string
    readonly role: Role
    readonly parent: string | null
    /** Text of the file that the participant edits. */
    readonly local: string
  }[]
  /** Unix milliseconds. */
  readonly expires: number
  readonly random?: RandomSource
}

/**
 * Writes a folder per participant: `<name>/kit/kit.json`, signed, and `<name>/local/<role>.yaml`, to be edited. Returns
 * what the authority has to keep.
 * @throws {ConsiliumError} "identity/kit-exists" if one of the files is there; then none is written
 */
export const makeKits = async (plan: KitPlan): Promise<readonly Ticket[]> => {
  const { folder, authority, random = systemRandom } = plan
  const url = URL.canParse(authority.url) ? new URL(authority.url) : null
  if (url?.protocol !== "https:")
    throw new ConsiliumError(
      "identity/bad-address",
      "The authority's address in a kit has to start with https://.",
    )
  checkDifferent(plan.participants.map(({ name }) => name))
  const files = plan.participants.map((participant) => {
    const { name } = participant
    const kit: Kit = {
      study: plan.study,
      name,
      role: participant.role,
      parent: participant.parent === null ? null : checkedName(participant.parent),
      authorityName: checkedName(authority.name),
      authorityUrl: authority.url,
      authorityKey: authority.signingKey,
      caFingerprint: authority.caFingerprint,
      token: random.bytes(32),
      expires: plan.expires,
    }
    return {
      kit,
      kitPath: join(folder, name, "kit", "kit.json"),
      kitText: kitText(kit, authority.sign(kitMessage(kit))),
      localPath: join(folder, name, "local", `${participant.role}.yaml`),
      localText: participant.local,
    }
  })
  for (const path of files.flatMap((file) => [file.kitPath, file.localPath]))
    if (await isThere(path)) throw new ConsiliumError("identity/kit-exists", `${path} is already there.`)
  try {
    for (const file of files) {
      await makePrivateFolder(join(folder, file.kit.name, "kit"))
      await mkdir(join(folder, file.kit.name, "local"), { recursive: true, mode: 0o700 })
      await writeFileAtomic(file.kitPath, utf8(file.kitText))
      await writeFileAtomic(file.localPath, utf8(file.localText))
    }
  } catch (error) {
    throw storeError(error, `write the kits to ${folder}`)
  }
  return files.map(({ kit }) => ({
    name: kit.name,
    role: kit.role,
    parent: kit.parent,
    tokenHash: tokenHash(kit.token),
    expires: kit.expires,
  }))
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const ticketsCodec = list(ticketCodec, MAX_PARTICIPANTS)
const TICKETS = "enrolment-tickets"

/** Keeps the tickets of handed-out kits in the authority's sealed folder. */
export const saveTickets = (files: SealedFiles, tickets: readonly Ticket[]): Promise<void> =>
  files.put(TICKETS, encode(ticketsCodec, tickets))

/** The tickets that were kept; none if there are none. */
export const loadTickets = async (files: SealedFiles): Promise<readonly Ticket[]> => {
  const saved = await files.get(TICKETS)
  return saved === null ? [] : decode(ticketsCodec, saved)
}

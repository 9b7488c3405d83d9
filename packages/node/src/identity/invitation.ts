import { randomBytes } from "node:crypto"
import { readdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { isoTime, timestamp } from "@consilium/base/units"
import { facilityFileText, fogFileText } from "../config/role-files.js"
import { errno, makePrivateFolder, storeError, syncFolder } from "../store/files.js"
import { makeKits, type Ticket } from "./kit.js"
import { checkedName, parseAddress } from "./names.js"
import type { Registry } from "./registry.js"

const DAY = 86_400_000

export interface Invitation {
  readonly name: string
  readonly role: "facility" | "fog"
  readonly parent: string
  /** The newcomer's folder `<name>` is made in this one. */
  readonly folder: string
  /** Text of the configuration file that the newcomer edits; a sample of its role if nothing is given. */
  readonly local?: string | undefined
  /** Where the newcomer reaches the authority, if that is not where it listens: https://host:port. */
  readonly url?: string | undefined
  /** Days that the kit is good for. */
  readonly days: number
}

export interface Invited {
  /** The folder to be handed over. */
  readonly folder: string
  /** The configuration file in it. */
  readonly config: string
  /** UTC, ISO-8601. */
  readonly expires: string
}

/** Who invites. */
export interface Host {
  readonly registry: Registry
  readonly name: string
  readonly study: string
  readonly listen: { readonly host: string; readonly port: number }
  readonly caFingerprint: Uint8Array
  readonly keys: { readonly signingKey: Uint8Array; sign(message: Uint8Array): Uint8Array }
  readonly now: () => number
}

const sampleOf = (role: Invitation["role"]): string =>
  role === "fog"
    ? fogFileText({})
    : facilityFileText({ records: { format: "heart-csv", file: "records.csv" }, policy: {} })

/** The authority's address as others know it. */
const urlOf = ({ listen }: Host, url: string | undefined): string => {
  if (url !== undefined) return url
  const { host, port } = listen
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`
  try {
    parseAddress(address)
  } catch (cause) {
    throw new ConsiliumError(
      "identity/bad-address",
      `The authority listens on ${address}; that is no address for others.`,
      {
        remedy:
          "Name the address by which newcomers reach the authority, such as https://ca.example.org:8440.",
        cause,
      },
    )
  }
  return `https://${address}`
}

/**
 * Makes a newcomer's kit. The kit comes into its place last, when the authority already knows its token: after a crash the
 * kit is there and good, or the invitation can be repeated.
 * @throws {ConsiliumError} "identity/name-taken", "identity/bad-invitation", "identity/kit-exists"
 */
export const makeInvitation = async (host: Host, invitation: Invitation): Promise<Invited> => {
  const name = checkedName(invitation.name)
  const { role, parent, folder, days } = invitation
  host.registry.checkInvitation({ name, role, parent }, host.name)
  const url = urlOf(host, invitation.url)
  const place = join(folder, name)
  const expires = host.now() + days * DAY
  const mine = `.invitation-${toHex(host.caFingerprint.slice(0, 8))}-`
  const drafts = join(folder, `${mine}${toHex(randomBytes(6))}`)
  try {
    await makePrivateFolder(folder)
    if ((await filesIn(place)) !== 0)
      throw new ConsiliumError("identity/kit-exists", `${place} is already there.`)
    // Drafts that a crash has left hold tokens that nobody was given.
    for (const old of await readdir(folder))
      if (old.startsWith(mine)) await rm(join(folder, old), { recursive: true, force: true })
    const [ticket] = await makeKits({
      folder: drafts,
      study: host.study,
      authority: {
        ...host.keys,
        name: host.name,
        url,
        caFingerprint: host.caFingerprint,
        sign: host.keys.sign,
      },
      participants: [{ name, role, parent, local: invitation.local ?? sampleOf(role) }],
      expires,
    })
    await host.registry.invite(ticket as Ticket, host.name)
    await rename(join(drafts, name), place)
    await syncFolder(folder)
  } catch (error) {
    throw storeError(error, `write the kit to ${place}`)
  } finally {
    await rm(drafts, { recursive: true, force: true })
  }
  return {
    folder: place,
    config: join(place, "local", `${role}.yaml`),
    expires: isoTime(timestamp(expires)),
  }
}

const filesIn = async (folder: string): Promise<number> => {
  try {
    return (await readdir(folder)).length
  } catch (error) {
    if (errno(error) === "ENOENT") return 0
    if (errno(error) === "ENOTDIR") return 1
    throw error
  }
}

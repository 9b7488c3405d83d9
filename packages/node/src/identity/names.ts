import { isIP } from "node:net"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Role, roleCodec } from "@consilium/federation/roster"

/** The domain of the names in certificates. `internal` is reserved for private use, so nobody else can own it. */
export const DOMAIN = "consilium.internal"

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
const NAME = new RegExp(`^${LABEL}$`)
const HOST = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*$`)

/**
 * A participant's name, unchanged: it stands in certificates, folder names and DNS names.
 * @throws {ConsiliumError} "identity/bad-name"
 */
export const checkedName = (name: string): string => {
  if (!NAME.test(name))
    throw new ConsiliumError(
      "identity/bad-name",
      `${JSON.stringify(name.slice(0, 80))} cannot be a participant's name.`,
    )
  return name
}

/** The name of the authority's own folder and certificate. */
export const AUTHORITY = "authority"

/**
 * The names of all participants of a study, each its own: each is a folder beside the authority's.
 * @throws {ConsiliumError} "identity/bad-name"
 */
export const checkDifferent = (names: readonly string[]): void => {
  const taken = new Set([AUTHORITY])
  for (const name of names.map(checkedName)) {
    if (taken.has(name))
      throw new ConsiliumError(
        "identity/bad-name",
        name === AUTHORITY
          ? `A participant cannot be called ${name}: that is the authority's own folder.`
          : `Two participants are called ${name}.`,
        { remedy: "Give every participant a name of its own." },
      )
    taken.add(name)
  }
}

/** True for the words that are roles. */
export const isRole = (word: string): word is Role => {
  try {
    encode(roleCodec, word as Role)
    return true
  } catch {
    return false
  }
}

/** The DNS name that stands for a participant in its certificate, whatever machine it runs on. */
export const dnsNameOf = (name: string): string => `${checkedName(name)}.${DOMAIN}`

export interface HostAndPort {
  /** A DNS name or an IP address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

const badAddress = (address: string): never => {
  throw new ConsiliumError(
    "identity/bad-address",
    `${JSON.stringify(address.slice(0, 80))} is not an address that others could connect to.`,
  )
}

/**
 * A host that a participant may declare for itself, in lower case: a DNS name outside the project's own domain, or an
 * IP address. A name inside that domain would let one participant pass for another.
 * @throws {ConsiliumError} "identity/bad-address"
 */
export const checkedHost = (host: string): string => {
  const lower = host.toLowerCase()
  if (isIP(lower) !== 0) return lower.includes("%") || /^[0:.]+$/.test(lower) ? badAddress(host) : lower
  if (!HOST.test(lower) || lower === DOMAIN || lower.endsWith(`.${DOMAIN}`)) return badAddress(host)
  return lower
}

/**
 * Host and port of "host:port", "1.2.3.4:port" or "[::1]:port".
 * @throws {ConsiliumError} "identity/bad-address"
 */
export const parseAddress = (address: string): HostAndPort => {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([1-9]\d{0,4})$/.exec(address)
  if (match === null) return badAddress(address)
  const [, bracketed, bare, digits] = match
  const port = Number(digits)
  if (port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6)) return badAddress(address)
  return { host: checkedHost(bracketed ?? (bare as string)), port }
}

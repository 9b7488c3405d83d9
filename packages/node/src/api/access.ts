import { equalBytes, fromHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { Refusal } from "./problems.js"

/** What a route does, by what it shows or changes. */
export type Right = "read" | "model" | "log" | "start" | "ask"

export const apiRoles = ["reader", "clinician", "operator", "auditor", "owner"] as const
export type ApiRole = (typeof apiRoles)[number]

/** Least rights: nobody has one that the role does not need. */
const RIGHTS: Readonly<Record<ApiRole, readonly Right[]>> = {
  reader: ["read"],
  clinician: ["ask"],
  operator: ["read", "model", "start", "ask"],
  auditor: ["read", "model", "log"],
  owner: ["read", "model", "log", "start", "ask"],
}
/** What a person at the leader's own machine may do without a token: look on, start and stop studies, ask models about patients. */
const AT_HOME: readonly Right[] = ["read", "start", "ask"]

/** A token that the leader knows: only its hash is kept. */
export interface TokenRule {
  readonly name: string
  readonly role: ApiRole
  /** SHA-256 of the token's text, 64 hexadecimal digits. */
  readonly sha256: string
  /** Milliseconds since 1970; null for a token that does not expire. */
  readonly expires: number | null
}

export interface Caller {
  /** For idempotency keys: nobody meets the keys of another. */
  readonly name: string
  readonly rights: readonly Right[]
}

/** Where a request comes from. */
export interface Approach {
  readonly peer: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly encrypted: boolean
}

const LOOPBACK_PEER = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/
const LOOPBACK_HOST = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|\[::1\])(:\d{1,5})?$/i
const BEARER = /^Bearer ([A-Za-z0-9._~+/-]{1,512}=*)$/i
/** A machine's own proxy makes everybody look like loopback; it says so in one of these. */
const PROXIED = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"]

const one = (value: string | readonly string[] | undefined): string | undefined =>
  typeof value === "string" ? value : value?.join(", ")

/** Refuses what a page of another origin has a browser send, whatever else it shows. */
export const checkOrigin = (approach: Approach, changes: boolean): void => {
  const { headers, encrypted } = approach
  const origin = one(headers.origin)
  const site = one(headers["sec-fetch-site"])
  const own = `${encrypted ? "https" : "http"}://${one(headers.host) ?? ""}`.toLowerCase()
  const moved = !changes && one(headers["sec-fetch-mode"]) === "navigate"
  const foreign =
    (origin !== undefined && origin.toLowerCase() !== own) ||
    (site !== undefined && site !== "same-origin" && site !== "none" && !moved)
  if (foreign) throw new Refusal("api/foreign-origin", "A page of another origin sent this request.", {})
}

/** Who holds the token of a request, or null. All known hashes are compared, each in constant time. */
const holderOf = (token: string, rules: readonly TokenRule[], now: number): TokenRule | null => {
  const presented = sha256(utf8(token))
  let holder: TokenRule | null = null
  for (const rule of rules) if (equalBytes(presented, fromHex(rule.sha256))) holder = rule
  return holder !== null && (holder.expires === null || now < holder.expires) ? holder : null
}

const unauthenticated = (message: string, detail = ""): Refusal =>
  new Refusal("api/unauthenticated", message, {
    "www-authenticate": `Bearer realm="consilium"${detail}`,
  })

export interface AccessRules {
  readonly tokens: readonly TokenRule[]
  /** Whether loopback needs no token for looking on, and for starting and stopping studies. */
  readonly loopback: boolean
  readonly now: () => number
}

const atHome = ({ peer, headers }: Approach): boolean =>
  LOOPBACK_PEER.test(peer) && PROXIED.every((name) => headers[name] === undefined)

/**
 * Refuses a browser at home that a page elsewhere led here under a name of its own.
 * @throws {ConsiliumError} "api/foreign-host"
 */
export const checkHost = (approach: Approach): void => {
  const host = one(approach.headers.host)
  if (atHome(approach) && (host === undefined || !LOOPBACK_HOST.test(host)))
    throw new Refusal("api/foreign-host", "The request names a host that is not this machine's loopback.", {})
}

/**
 * Who is asking, if they may.
 * @throws {ConsiliumError} "api/unauthenticated", "api/forbidden" or "api/foreign-host"
 */
export const admit = (approach: Approach, right: Right, rules: AccessRules): Caller => {
  const home = rules.loopback && atHome(approach)
  const authorization = one(approach.headers.authorization)
  if (authorization !== undefined) {
    const token = BEARER.exec(authorization)?.[1]
    const holder = token === undefined ? null : holderOf(token, rules.tokens, rules.now())
    if (holder === null)
      throw unauthenticated("The token is unknown or has expired.", ', error="invalid_token"')
    const rights = RIGHTS[holder.role]
    if (rights.includes(right)) return { name: `token ${holder.name}`, rights }
    throw new Refusal(
      "api/forbidden",
      `The role ${holder.role} may not do this: it needs the right "${right}".`,
      {
        "www-authenticate": 'Bearer realm="consilium", error="insufficient_scope"',
      },
    )
  }
  if (!home)
    throw unauthenticated("Requests that do not come straight from the leader's own machine need a token.")
  checkHost(approach)
  if (!AT_HOME.includes(right))
    throw unauthenticated(`This needs a token with the right "${right}", also on the leader's own machine.`)
  return { name: "loopback", rights: AT_HOME }
}

/** Whether a listener at this address can be reached from this machine only. */
export const isLoopback = (address: string): boolean => LOOPBACK_PEER.test(address)

import { readdir, readFile, stat } from "node:fs/promises"
import { extname, join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import type { FastifyReply, FastifyRequest } from "fastify"

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
}
/** Names below these hold a hash of their content. */
const LASTING = /^\/(?:predict\/)?assets\//
const MOST_BYTES = 64 << 20

export interface PageFile {
  readonly bytes: Buffer
  readonly type: string
  readonly etag: string
  /** A file whose name holds a hash of its content never changes. */
  readonly lasting: boolean
}

/** The page's files by their address, all read at the start: what is not among them does not exist, whatever the path. */
export type PageFiles = ReadonlyMap<string, PageFile>

/**
 * Reads a page's folder. Links and files of unknown types are left out.
 * @throws {ConsiliumError} "config/unreadable"
 */
export const readPage = async (folder: string): Promise<PageFiles> => {
  const files = new Map<string, PageFile>()
  let total = 0
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    for (const entry of entries) {
      const type = TYPES[extname(entry.name)]
      if (!entry.isFile() || type === undefined) continue
      const path = join(entry.parentPath, entry.name)
      total += (await stat(path)).size
      if (total > MOST_BYTES)
        throw new ConsiliumError("config/unreadable", `The page's files exceed ${MOST_BYTES} bytes.`)
      const bytes = await readFile(path)
      const address = path.slice(folder.length).replaceAll("\\", "/").replace(/^\/*/, "/")
      const etag = `"${toHex(sha256(bytes)).slice(0, 32)}"`
      const file = { bytes, type, lasting: LASTING.test(address), etag }
      files.set(address, file)
      if (entry.name === "index.html") files.set(address.slice(0, -entry.name.length), file)
    }
  } catch (cause) {
    if (cause instanceof ConsiliumError) throw cause
    throw new ConsiliumError("config/unreadable", `The folder of the page, ${folder}, cannot be read.`, {
      cause,
    })
  }
  return files
}

/**
 * Sends one of a page's files, unless the browser has it.
 * @throws {ConsiliumError} "api/not-found"
 */
export const sendPageFile = (
  page: PageFiles | null,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply => {
  const file = page?.get(request.url.split("?", 1)[0] as string)
  if (file === undefined) throw new ConsiliumError("api/not-found", "Nothing is served at this address.")
  reply
    .header("etag", file.etag)
    .header("cache-control", file.lasting ? "public, max-age=31536000, immutable" : "no-cache")
  if (request.headers["if-none-match"] === file.etag) return reply.code(304).send()
  return reply.type(file.type).send(file.bytes)
}

const POLICY = {
  "default-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self'",
  "img-src": "'self' data:",
  "font-src": "'self'",
  "connect-src": "'self'",
  "manifest-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'none'",
  "frame-ancestors": "'none'",
} as const

/** The content security policy of an answer, with what is said otherwise or beside it. */
export const policyOf = (changes: Readonly<Record<string, string>> = {}): string =>
  Object.entries({ ...POLICY, ...changes })
    .map(([directive, sources]) => `${directive} ${sources}`)
    .join("; ")

/** Headers of every answer: nothing is framed, sniffed or run that this leader did not serve itself. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": policyOf(),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
}

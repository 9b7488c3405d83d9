import { open, rename, unlink } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { cosignedIn, encodeHeads, writeBundle } from "@consilium/federation/audit-bundle"
import type { CosignedHead } from "@consilium/federation/messages"
import { facilityHeads, readHeads, withStoredStudy } from "./audit-sources.js"
import { storeError, syncFolder, writeFileAtomic, writeFully } from "./store/files.js"

export interface ExportReport {
  readonly study: string
  readonly file: string
  readonly events: number
  readonly heads: number
  readonly bytes: number
  /** The digest that ends the file: who has the same one has the same log. */
  readonly bundle: string
  /** The authority's public signing key: what a stranger must know to verify the file. */
  readonly authority: string
}

/**
 * Writes a leader's whole log into one file that a stranger can verify. The file appears whole or not at all; whether
 * the log holds is for the verification to say.
 */
export const exportLog = (
  configPath: string,
  to: string,
  options: { readonly study?: string | undefined; readonly heads?: readonly string[] } = {},
): Promise<ExportReport> =>
  withStoredStudy(
    configPath,
    options.study ?? null,
    async ({ study, directory, roster, authorityKey, store }) => {
      const given = await readHeads(options.heads ?? [], directory.roster.study)
      let own: CosignedHead | null = null
      for await (const entry of store.entries()) own = cosignedIn(entry) ?? own
      const heads = own === null ? given.heads : [own, ...given.heads]
      const parts = { roster, heads, events: store.length, entries: store.entries() }
      const { bytes, last } = await writeLogBundle(resolve(to), parts)
      return {
        study: study.name,
        file: to,
        events: store.length,
        heads: heads.length,
        bytes,
        bundle: toHex(last),
        authority: toHex(authorityKey),
      }
    },
  )

/** Writes a bundle to a path; gives its length and the digest that ends it. */
export const writeLogBundle = async (
  path: string,
  parts: Parameters<typeof writeBundle>[0],
): Promise<{ readonly bytes: number; readonly last: Uint8Array }> => {
  const temporary = `${path}.part`
  try {
    const handle = await open(temporary, "w", 0o600)
    let bytes = 0
    let last: Uint8Array = new Uint8Array(0)
    try {
      for await (const chunk of writeBundle(parts)) {
        await writeFully(handle, chunk, bytes)
        bytes += chunk.length
        last = chunk
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
    return { bytes, last }
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw storeError(error, `write ${path}`)
  }
}

export interface HeadsReport {
  readonly study: string
  readonly file: string
  readonly heads: number
  /** Number of the last event of the leader's log that is signed. */
  readonly lastEvent: number | null
}

/** Writes the co-signed heads that a facility keeps into a file, for whoever checks the leader's log. */
export const exportHeads = async (
  configPath: string,
  to: string,
  options: { readonly study?: string | undefined } = {},
): Promise<HeadsReport> => {
  const file = await facilityHeads(configPath, options.study ?? null)
  try {
    await writeFileAtomic(resolve(to), encodeHeads(file))
  } catch (error) {
    throw storeError(error, `write ${to}`)
  }
  return {
    study: file.name,
    file: to,
    heads: file.heads.length,
    lastEvent: file.heads.reduce<number | null>((last, { seq }) => Math.max(last ?? 0, seq), null),
  }
}

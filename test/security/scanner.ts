import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { unpackedIn } from "./deflate.js"
import { type LongSecret, type Needle, needlesOf, type Secret } from "./needles.js"

export interface Hit {
  readonly secret: string
  readonly form: string
  /** File or process, and the place in it. */
  readonly where: string
}

interface Place {
  readonly needle: Needle
  /** Where in the needle its anchor is. */
  readonly anchor: number
}

const ANCHOR = 4
/** In the path of every file of a store, and of what was overheard: large, and packed by nobody without a header. */
const LARGE = ["/db/pglite/", "/data/studies/", "traffic/"]
const TABLE_BITS = 24
const DEEPEST = 3
/** Bytes that files and memory are full of: zeros, ones, and how they look as text. */
const COMMON = new Uint8Array(256)
for (const byte of [0x00, 0xff, 0x20, ...Buffer.from("0fFA/_.,")]) COMMON[byte] = 1

const slot = (word: number): number => Math.imul(word, 0x9e3779b1) >>> (32 - TABLE_BITS)
const wordAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 24) |
  ((bytes[at + 1] as number) << 16) |
  ((bytes[at + 2] as number) << 8) |
  (bytes[at + 3] as number)

/** The four bytes of a needle that are least often met: as many different and uncommon ones as there are. */
const anchorOf = (bytes: Uint8Array): number => {
  let best = 0
  let most = -1
  for (let at = 0; at + ANCHOR <= bytes.length && most < ANCHOR; at++) {
    let rare = 0
    for (let i = at; i < at + ANCHOR; i++)
      if (COMMON[bytes[i] as number] === 0 && bytes.indexOf(bytes[i] as number, at) === i) rare++
    if (rare > most) {
      best = at
      most = rare
    }
  }
  return best
}

/**
 * Searches bytes for secrets in every form of `needles.ts`, also inside gzip, zlib and raw deflate. One pass whatever
 * the number of needles: four bytes at a time meet a table of the needles' anchors.
 */
export class Scanner {
  readonly #table = new Uint32Array(2 ** (TABLE_BITS - 5))
  readonly #places = new Map<number, Place[]>()
  /** Bytes by which neighbouring portions must overlap so that no needle falls between them. */
  readonly overlap: number

  constructor(secrets: readonly (Secret | LongSecret)[]) {
    const seen = new Set<string>()
    let longest = 0
    for (const needle of secrets.flatMap(needlesOf)) {
      const { bytes } = needle
      const key = `${needle.secret}\0${Buffer.from(bytes).toString("latin1")}`
      if (seen.has(key)) continue
      seen.add(key)
      longest = Math.max(longest, bytes.length)
      const anchor = anchorOf(bytes)
      const word = wordAt(bytes, anchor)
      const at = slot(word)
      this.#table[at >>> 5] = (this.#table[at >>> 5] as number) | (1 << (at & 31))
      const places = this.#places.get(word)
      if (places === undefined) this.#places.set(word, [{ needle, anchor }])
      else places.push({ needle, anchor })
    }
    this.overlap = longest
  }

  /** Each secret's first hit in some bytes. `rawDeflate` looks for streams without a header too: for files only. */
  scan(bytes: Uint8Array, where: string, rawDeflate = true, depth = 0): readonly Hit[] {
    const hits = new Map<string, Hit>()
    const table = this.#table
    let word = 0
    for (let end = 0; end < bytes.length; end++) {
      word = (word << 8) | (bytes[end] as number)
      const at = slot(word)
      if (((table[at >>> 5] as number) & (1 << (at & 31))) === 0 || end < ANCHOR - 1) continue
      for (const { needle, anchor } of this.#places.get(word) ?? []) {
        const from = end - ANCHOR + 1 - anchor
        if (hits.has(needle.secret) || !holds(bytes, from, needle.bytes)) continue
        hits.set(needle.secret, { secret: needle.secret, form: needle.form, where: `${where} at ${from}` })
      }
    }
    if (depth < DEEPEST)
      for (const { kind, at, content } of unpackedIn(bytes, rawDeflate))
        for (const hit of this.scan(content, `${where}, ${kind} at ${at}`, rawDeflate, depth + 1))
          if (!hits.has(hit.secret)) hits.set(hit.secret, hit)
    return [...hits.values()]
  }

  scanFile(path: string, where: string): readonly Hit[] {
    return this.scan(new Uint8Array(readFileSync(path)), where, !LARGE.some((part) => where.includes(part)))
  }

  /**
   * Every file below a folder, its name included; `where` names the folder. In stores and traffic no streams without a
   * header are looked for.
   */
  scanFolder(folder: string, where: string): readonly Hit[] {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name)
      const place = `${where}/${entry.name}`
      const named = this.scan(new Uint8Array(Buffer.from(entry.name)), `name of ${place}`)
      if (entry.isDirectory()) return [...named, ...this.scanFolder(path, place)]
      return entry.isFile() ? [...named, ...this.scanFile(path, place)] : named
    })
  }
}

const holds = (bytes: Uint8Array, from: number, needle: Uint8Array): boolean => {
  if (from < 0 || from + needle.length > bytes.length) return false
  for (let i = 0; i < needle.length; i++) if (bytes[from + i] !== needle[i]) return false
  return true
}

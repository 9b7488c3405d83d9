import { access, readdir, readFile } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { equalBytes, fromHex, toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { decodeHeads, type HeadsFile } from "@consilium/federation/audit-bundle"
import { type CosignedHead, cosignedHeadCodec } from "@consilium/federation/messages"
import { type Directory, openRoster } from "@consilium/federation/roster"
import { decodeStudy, type Study } from "@consilium/federation/study"
import { z } from "zod"
import { readConfig } from "./config/yaml-file.js"
import { readKit } from "./identity/kit.js"
import { nodeSuite } from "./identity/suite.js"
import { openLeaderStores } from "./store/leader-stores.js"
import { lockFolder } from "./store/lock.js"
import { openSegmentStores } from "./store/segment-stores.js"
import type { StudyStore } from "./store/study-store.js"

/** The roster that a participant began a study with, beside its store. */
const ROSTER = "roster.signed"

/** What is needed of a leader's or a facility's file. */
const storedFile = z.looseObject({
  data_folder: z.string().min(1).default("../data"),
  store: z.enum(["pglite", "segments"]).default("pglite"),
})

/** A study in the data folder of a participant that is not running. */
export interface StoredStudy {
  readonly study: Study
  readonly directory: Directory
  /** As the authority signed it. */
  readonly roster: Uint8Array
  readonly authorityKey: Uint8Array
  readonly store: StudyStore
}

type Found = Omit<StoredStudy, "store">

/**
 * Opens a study of a participant, given its `leader.yaml` or `facility.yaml`, for as long as `use` takes. It is found by
 * its name or the first digits of its digest. The folder is locked meanwhile.
 * @throws {ConsiliumError} "store/locked" with its holder while the participant runs; "audit/no-study" if there is none,
 *   none of that name, or several and no name
 */
export const withStoredStudy = async <T>(
  configPath: string,
  name: string | null,
  use: (stored: StoredStudy) => Promise<T>,
): Promise<T> => {
  const config = await readConfig(storedFile, configPath)
  const local = dirname(resolve(configPath))
  const { authorityKey, role } = await readKit(dirname(local))
  const folder = resolve(local, config.data_folder)
  const found = await theStudy(join(folder, "studies"), authorityKey, name)
  const lock = await lockFolder(folder)
  try {
    const stores = await (role === "leader"
      ? openLeaderStores(folder, config.store)
      : openSegmentStores(join(folder, "studies")))
    try {
      return await use({ ...found, store: await stores.study(found.directory.roster.study) })
    } finally {
      await stores.close()
    }
  } finally {
    await lock.close()
  }
}

const theStudy = async (folder: string, authorityKey: Uint8Array, name: string | null): Promise<Found> => {
  const all: Found[] = []
  for (const entry of (await readdir(folder).catch(() => [])).sort()) {
    const path = join(folder, entry, ROSTER)
    if (!(await isThere(path))) continue
    const roster = new Uint8Array(await readFile(path))
    const { directory, study } = openRoster(nodeSuite, authorityKey, roster)
    all.push({ study: decodeStudy(study), directory, roster, authorityKey })
  }
  const fits = ({ study, directory }: Found): boolean =>
    name === null || study.name === name || toHex(directory.roster.study).startsWith(name)
  const [found, ...others] = all.filter(fits)
  const names = all
    .map(({ study, directory }) => `${study.name} (${toHex(directory.roster.study).slice(0, 16)})`)
    .join(", ")
  if (found === undefined)
    throw new ConsiliumError(
      "audit/no-study",
      all.length === 0
        ? `There is no study in ${folder}.`
        : `There is no study called ${JSON.stringify(name)} in ${folder}; there are ${names}.`,
    )
  if (others.length > 0)
    throw new ConsiliumError("audit/no-study", `There are several studies in ${folder}: ${names}.`)
  return found
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** The type of the events in which a facility keeps co-signed heads of the leader's log. */
const HEAD_EVENT = "cosigned-head"

/** The co-signed heads that a facility keeps of a study, given its `facility.yaml`. */
export const facilityHeads = (
  configPath: string,
  wanted: string | null,
): Promise<HeadsFile & { readonly name: string }> =>
  withStoredStudy(configPath, wanted, async ({ study: { name }, directory, roster, store }) => {
    const heads: CosignedHead[] = []
    for await (const { header, body } of store.entries())
      if (header.type === HEAD_EVENT) heads.push(decode(cosignedHeadCodec, body))
    return { name, study: directory.roster.study, rosters: [roster], heads }
  })

/** Heads to compare a log with. */
export interface HeadSources {
  readonly heads: readonly CosignedHead[]
  readonly rosters: readonly Uint8Array[]
}

/**
 * The heads in some files: exported heads, or the `facility.yaml` of a facility whose folder is on this machine.
 * @throws {ConsiliumError} "audit/bad-head" if a file is none, or of another study
 */
export const readHeads = async (paths: readonly string[], study: Uint8Array): Promise<HeadSources> => {
  const all: HeadSources[] = []
  for (const path of paths) {
    const given = /\.ya?ml$/.test(path)
      ? await facilityHeads(path, toHex(study))
      : decodeHeads(await readWhole(path))
    if (!equalBytes(given.study, study))
      throw new ConsiliumError("audit/bad-head", `The heads in ${path} are of another study.`)
    all.push(given)
  }
  return { heads: all.flatMap(({ heads }) => heads), rosters: all.flatMap(({ rosters }) => rosters) }
}

const readWhole = async (path: string): Promise<Uint8Array> => {
  try {
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    throw new ConsiliumError("audit/no-file", `The file ${path} cannot be read.`, { cause })
  }
}

/**
 * An authority's public signing key, as its kits name it.
 * @throws {ConsiliumError} "audit/bad-authority"
 */
export const authorityKeyOf = (text: string): Uint8Array => {
  const digits = text.replace(/[\s:]/g, "").toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(digits))
    throw new ConsiliumError(
      "audit/bad-authority",
      `The authority's key has 64 hexadecimal digits; ${digits.length} characters were given.`,
    )
  return fromHex(digits)
}

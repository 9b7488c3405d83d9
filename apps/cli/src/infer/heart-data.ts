import { readFile, stat } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import { HEART_FILES, loadHeartCentre } from "@consilium/records/heart"
import type { HeartCoding, TargetMeaning } from "@consilium/records/heart-coding"
import { loadHeartCsv } from "@consilium/records/heart-csv"
import { HEART_CENTRES, type HeartCentre } from "@consilium/records/heart-schema"
import type { LabelledRows } from "@consilium/records/rows"
import type { Split } from "@consilium/records/split"
import { syntheticHeart } from "@consilium/records/synthetic-heart"

/** Where rows of heart patients come from, as the command line says it. */
export interface HeartSource {
  readonly data?: string
  readonly centre?: HeartCentre
  readonly target?: TargetMeaning | "auto"
  readonly coding?: HeartCoding | "auto"
  /** Made-up rows instead. */
  readonly simulate?: number
  readonly seed: number
}

export interface HeartData {
  /** In words, without a path. */
  readonly source: string
  readonly rows: LabelledRows
  /** The split that was published with the file; null where there is none. */
  readonly published: Split | null
  readonly synthetic: boolean
  readonly warnings: readonly string[]
}

const usage = (message: string, remedy: string): never => {
  throw new ConsiliumError("cli/usage", message, { remedy })
}

const unreadable = (path: string, cause: unknown): never => {
  throw new ConsiliumError("records/unreadable", `${path} is not there, or cannot be read.`, {
    remedy:
      "Give the folder with the processed UCI heart files, one of those files, or a heart CSV with a header; or --simulate.",
    cause,
  })
}

/** The centre whose published name a file has. */
const centreOf = (path: string): HeartCentre | undefined =>
  HEART_CENTRES.find((centre) => HEART_FILES[centre].file === basename(path))

const ofCentre = async (path: string, centre: HeartCentre): Promise<HeartData> => {
  const bytes = await readFile(path).catch((cause) => unreadable(path, cause))
  const { train, test } = loadHeartCentre(centre, bytes)
  const source = `UCI heart disease, ${centre}, published split`
  return { source, rows: test, published: { train, test }, synthetic: false, warnings: [] }
}

const ofTable = (
  name: string,
  bytes: string | Uint8Array,
  { target = "auto", coding = "auto" }: HeartSource,
): HeartData => {
  const { rows, warnings, synthetic } = loadHeartCsv(name, bytes, { target, coding })
  const messages = warnings.map(({ message }) => message)
  return { source: name, rows, published: null, synthetic, warnings: messages }
}

/**
 * Rows of heart patients: of a published file, where `rows` are those of its test side, of a table with a header, or made up.
 *
 * @param purpose made-up rows for another purpose are other rows, whatever the seed
 * @throws {ConsiliumError} "cli/usage", "records/unreadable", "records/wrong-file"; as `loadHeartCsv`
 */
export const heartData = async (source: HeartSource, purpose: string): Promise<HeartData> => {
  const { data, simulate, seed, centre } = source
  const asTable = source.target !== undefined || source.coding !== undefined
  if (data === undefined) {
    if (simulate === undefined)
      return usage(
        "There are no rows to read.",
        "Give --data with heart records, or --simulate with a number.",
      )
    if (centre !== undefined || asTable)
      return usage(
        "--centre, --target and --coding are about files; --simulate reads none.",
        "Leave them out.",
      )
    const random = insecureSeededRandom(seed, "infer", purpose)
    const csv = syntheticHeart({ profile: "hospital", rows: simulate, random })
    const name = `${simulate} made-up rows of a hospital, seed ${seed}`
    return { ...ofTable(name, csv, source), warnings: [] }
  }
  const path = resolve(data)
  const folder = (await stat(path).catch((cause) => unreadable(path, cause))).isDirectory()
  const named = folder
    ? (centre ?? "cleveland")
    : (centreOf(path) ?? (path.endsWith(".data") ? centre : undefined))
  if (named === undefined && path.endsWith(".data"))
    return usage(
      `${basename(path)} does not say which centre it is from.`,
      `Give --centre: ${HEART_CENTRES.join(", ")}.`,
    )
  if (named !== undefined) {
    if (asTable) return usage("--target and --coding are for tables with a header.", "Leave them out.")
    if (centre !== undefined && centre !== named)
      return usage(`${basename(path)} is the file of ${named}, not of ${centre}.`, "Leave --centre out.")
    return ofCentre(folder ? join(path, HEART_FILES[named].file) : path, named)
  }
  if (centre !== undefined) return usage("--centre is for the processed UCI heart files.", "Leave it out.")
  return ofTable(basename(path), await readFile(path).catch((cause) => unreadable(path, cause)), source)
}

import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import type { Examples } from "@consilium/learning/data"
import { HEART_FILES, loadHeartCentre } from "@consilium/records/heart"
import { loadHeartCsv } from "@consilium/records/heart-csv"
import { HEART_DECLARED_STANDARDISER } from "@consilium/records/heart-schema"
import type { LabelledRows } from "@consilium/records/rows"
import { standardise } from "@consilium/records/standardise"
import { syntheticHeart } from "@consilium/records/synthetic-heart"

/** The rows that attacks are tried on. */
export interface HeartRows {
  readonly names: readonly string[]
  readonly examples: Examples
  /** Where they come from, for the report. */
  readonly source: string
}

const SYNTHETIC_ROWS = 300

const published = async (folder: string): Promise<LabelledRows> => {
  const path = join(folder, HEART_FILES.cleveland.file)
  const bytes = await readFile(path).catch((cause) => {
    throw new ConsiliumError("records/unreadable", `${path} is not there.`, {
      remedy: "Give the folder that holds processed.cleveland.data, or leave --data out for invented rows.",
      cause,
    })
  })
  return loadHeartCentre("cleveland", bytes).train
}

/** Rows of the public heart data, or invented ones of their form; scaled by declared constants. */
export const heartRows = async (data: string | null, random: RandomSource): Promise<HeartRows> => {
  const rows =
    data === null
      ? loadHeartCsv("invented.csv", syntheticHeart({ profile: "hospital", rows: SYNTHETIC_ROWS, random }))
          .rows
      : await published(data)
  const { names, ...examples } = standardise(HEART_DECLARED_STANDARDISER, rows)
  return {
    names,
    examples,
    source: data === null ? "invented rows in the form of the heart data" : "the Cleveland heart data",
  }
}

/** Some of the rows, in this order. */
export const pick = ({ columns, features, labels }: Examples, rows: ArrayLike<number>): Examples => {
  const out = { rows: rows.length, columns, features: new Float64Array(rows.length * columns) }
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number
    out.features.set(features.subarray(row * columns, (row + 1) * columns), i * columns)
  }
  return {
    ...out,
    labels: Uint8Array.from({ length: rows.length }, (_, i) => labels[rows[i] as number] as number),
  }
}

export const rowOf = ({ columns, features }: Examples, row: number): Float64Array =>
  features.slice(row * columns, (row + 1) * columns)

/**
 * The rows with the product of every two features beside them: far more features than a small facility has patients, so
 * that a model can learn them by heart.
 */
export const withProducts = ({ names, examples, source }: HeartRows): HeartRows => {
  const { rows, columns } = examples
  const pairs = names.flatMap((_, a) =>
    Array.from({ length: columns - a - 1 }, (_b, b) => [a, a + b + 1] as const),
  )
  const wide = columns + pairs.length
  const features = new Float64Array(rows * wide)
  for (let row = 0; row < rows; row++) {
    const own = rowOf(examples, row)
    features.set(own, row * wide)
    for (const [i, [a, b]] of pairs.entries())
      features[row * wide + columns + i] = (own[a] as number) * (own[b] as number)
  }
  return {
    names: [...names, ...pairs.map(([a, b]) => `${names[a]} x ${names[b]}`)],
    examples: { ...examples, columns: wide, features },
    source,
  }
}

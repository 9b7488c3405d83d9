import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { publicStream } from "@consilium/learning/public-stream"
import { featureRanges } from "@consilium/records/feature-ranges"
import { HEART_FILES, loadHeartCentre } from "@consilium/records/heart"
import { loadHeartCsv } from "@consilium/records/heart-csv"
import {
  HEART_DECLARED_STANDARDISER,
  HEART_FEATURES,
  UCI_HEART_SCHEMA,
} from "@consilium/records/heart-schema"
import { joinRows, type LabelledRows } from "@consilium/records/rows"
import { type Split, splitByPatient } from "@consilium/records/split"
import { standardise } from "@consilium/records/standardise"
import { syntheticHeart } from "@consilium/records/synthetic-heart"

const folder = process.env.CONSILIUM_DATA
const file = folder === undefined ? "" : join(folder, "heart-uci", HEART_FILES.cleveland.file)

/** Why tests on the published file are skipped, for their names; empty if it is there. */
export const withoutCleveland = existsSync(file)
  ? ""
  : " (skipped: CONSILIUM_DATA names no folder with heart-uci)"

/** The 303 patients of Cleveland in their published split, scaled by declared constants. */
export const clevelandRows = (): Split => {
  const { train, test } = loadHeartCentre("cleveland", readFileSync(file))
  return { train: scaled(train), test: scaled(test) }
}

/** Made-up patients of the three kinds of facility, half of them held out. */
export const syntheticRows = (rowsOfEach: number, seed: string): Split => {
  const kinds = ["hospital", "clinic", "research-centre"] as const
  const rows = joinRows(
    kinds.map((profile) => {
      const random = publicStream(seed, profile)
      return loadHeartCsv(profile, syntheticHeart({ profile, rows: rowsOfEach, random })).rows
    }),
  )
  return splitByPatient(scaled(rows), { testShare: 0.5, random: publicStream(seed, "split") })
}

const scaled = (rows: LabelledRows): LabelledRows => standardise(HEART_DECLARED_STANDARDISER, rows)

/** What the schema declares of every feature, scaled as the rows are. */
export const heartRanges = (): readonly (readonly [number, number])[] => {
  const { means, deviations } = HEART_DECLARED_STANDARDISER
  return featureRanges(UCI_HEART_SCHEMA, HEART_FEATURES).map(({ low, high }, j) => {
    const scale = (x: number) => (x - means[j]!) / (deviations[j]! + 1e-9)
    return [scale(low), scale(high)]
  })
}

import type { Digest } from "@consilium/base/hash"
import {
  CARDIOVASCULAR_DECLARED_STANDARDISER,
  CARDIOVASCULAR_FEATURES,
} from "@consilium/records/cardiovascular/features"
import { CARDIOVASCULAR_SCHEMA, cardiovascularSchema } from "@consilium/records/cardiovascular/schema"
import { type FeatureRange, featureRanges } from "@consilium/records/feature-ranges"
import type { Feature } from "@consilium/records/features"
import { MISSING_SUFFIX } from "@consilium/records/features"
import {
  HEART_DECLARED_STANDARDISER,
  HEART_FEATURES,
  UCI_HEART_SCHEMA,
} from "@consilium/records/heart-schema"
import type { TableSchema } from "@consilium/records/schema"
import { schemaDigest } from "@consilium/records/schema-digest"
import type { SiteSchema } from "@consilium/records/site-table"
import type { Standardiser } from "@consilium/records/standardise"

/** A schema with what a study can train on: what a facility reads its table under. */
export interface TableForm {
  readonly schema: TableSchema
  /** The schema for a file, where columns may be absent. */
  readonly site: SiteSchema
  readonly features: readonly Feature[]
  /** By which a study names the schema. */
  readonly digest: Digest
}

export const tableForm = (
  schema: TableSchema,
  features: readonly Feature[],
  site: SiteSchema = schema,
): TableForm => ({
  schema,
  site,
  features,
  digest: schemaDigest(schema, features),
})

/** The built-in schemas by name. */
const BUILT_IN: ReadonlyMap<string, TableForm & { readonly standardiser: Standardiser }> = new Map([
  [
    CARDIOVASCULAR_SCHEMA.name,
    {
      ...tableForm(CARDIOVASCULAR_SCHEMA, CARDIOVASCULAR_FEATURES, {
        whole: CARDIOVASCULAR_SCHEMA,
        of: cardiovascularSchema,
      }),
      standardiser: CARDIOVASCULAR_DECLARED_STANDARDISER,
    },
  ],
])

/** A built-in schema with its declared constants, or null. */
export const builtInForm = (name: string): (TableForm & { readonly standardiser: Standardiser }) | null =>
  BUILT_IN.get(name) ?? null

/**
 * The built-in table that features are made of: the one that a study names, or else the one that knows all of them; null if none does.
 */
export const tableOf = (
  features: readonly string[],
  schema: string | null,
): { readonly schema: TableSchema; readonly features: readonly Feature[] } | null => {
  const heart = { schema: UCI_HEART_SCHEMA, features: HEART_FEATURES }
  const named = schema === null ? null : builtInForm(schema)
  const known = schema === null ? [heart, ...BUILT_IN.values()] : named === null ? [] : [named]
  return (
    known.find((table) => features.every((name) => table.features.some((one) => one.name === name))) ?? null
  )
}

/** Where features of a built-in schema lie; of the schema that the study names, or else of the one that knows all of them. */
export const declaredRanges = (
  features: readonly string[],
  schema: string | null,
): readonly FeatureRange[] => {
  const heart = featureRanges(UCI_HEART_SCHEMA, HEART_FEATURES)
  const known = [heart, ...[...BUILT_IN.values()].map((form) => featureRanges(form.schema, form.features))]
  const named = schema === null ? null : builtInForm(schema)
  const chosen =
    named === null
      ? known.find((ranges) => features.every((name) => knowsRange(ranges, name)))
      : featureRanges(named.schema, named.features)
  return [
    ...(chosen ?? []),
    ...features
      .filter((feature) => feature.endsWith(MISSING_SUFFIX))
      .map((feature) => ({ feature, low: 0, high: 1 })),
  ]
}

const knowsRange = (ranges: readonly FeatureRange[], name: string): boolean =>
  name.endsWith(MISSING_SUFFIX) || ranges.some(({ feature }) => feature === name)

/** A round figure for how often a value is missing. */
const DECLARED_MISSING = { mean: 0.1, deviation: 0.3 }

const knows = ({ names }: Standardiser, feature: string): boolean =>
  names.includes(feature) || feature.endsWith(MISSING_SUFFIX)

/**
 * The constants that are declared for features of a built-in schema; of the schema that the study names, or else of the
 * one that knows all of them.
 */
export const declaredConstants = (
  features: readonly string[],
  schema: string | null,
): readonly { readonly feature: string; readonly mean: number; readonly deviation: number }[] => {
  const known = [
    HEART_DECLARED_STANDARDISER,
    ...[...BUILT_IN.values()].map(({ standardiser }) => standardiser),
  ]
  const chosen =
    schema === null
      ? (known.find((one) => features.every((feature) => knows(one, feature))) ?? HEART_DECLARED_STANDARDISER)
      : builtInForm(schema)?.standardiser
  if (chosen === undefined) return []
  const { names, means, deviations } = chosen
  return [
    ...names.map((feature, i) => ({ feature, mean: means[i] as number, deviation: deviations[i] as number })),
    ...features
      .filter((feature) => feature.endsWith(MISSING_SUFFIX))
      .map((feature) => ({ feature, ...DECLARED_MISSING })),
  ]
}

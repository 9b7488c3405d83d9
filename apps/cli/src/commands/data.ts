import { ConsiliumError } from "@consilium/base/errors"
import { type DataProfile, profileFacility, profileFile } from "@consilium/node/data-profile"
import type { ColumnProfile } from "@consilium/records/profile"
import { columns, type Format, print } from "./printed.js"

interface ProfileArguments {
  readonly config?: string
  readonly file?: string
  readonly schema?: string
  readonly mapping?: string
  readonly format: Format
}

const missing = (what: string): never => {
  throw new ConsiliumError("cli/usage", `${what} is missing.`, {
    remedy: "Give --config with facility.yaml, or --file with --schema.",
  })
}

const profileOf = ({ config, file, schema, mapping }: ProfileArguments): Promise<DataProfile> =>
  config !== undefined
    ? profileFacility(config)
    : profileFile(
        { file: file ?? missing("--file"), schema: schema ?? missing("--schema"), mapping: mapping ?? null },
        "named-on-the-command-line",
      )

/** What is not told. */
const HIDDEN = "*"
const told = (count: number | null): string => (count === null ? HIDDEN : String(count))
const share = (of: number): string => `${Math.round(1000 * of) / 10} %`

const valuesOf = ({ type, values, quantiles, unit }: ColumnProfile): string =>
  type === "number"
    ? quantiles.map(({ share: of, value }) => `${100 * of} %: ${value}`).join(", ") +
      (quantiles.length > 0 ? ` ${unit}` : "")
    : values.map(({ value, rows }) => `${value} ${told(rows)}`).join(", ")

const row = (column: ColumnProfile): readonly string[] => [
  column.name,
  told(column.present),
  column.missing === null ? HIDDEN : `${column.missing} (${share(column.missingShare ?? 0)})`,
  valuesOf(column),
]

/** Prints what may be shown of a facility's records outside. */
export const dataProfile = async (options: ProfileArguments): Promise<void> => {
  const { profile, synthetic, study } = await profileOf(options)
  const leftOut =
    profile.leftOut === 0 ? "" : `; ${told(profile.leftOut)} rows left out that do not say whose they are`
  print(options.format, { format: "consilium-data-profile/1", synthetic, ...profile, study }, [
    ...(synthetic ? ["The rows are synthetic and describe no patient."] : []),
    `${profile.rows} rows of ${told(profile.patients)} patients under the schema ${profile.schema}${leftOut}.`,
    `${HIDDEN} stands for 1 to ${profile.smallestGroup - 1} patients, or for what would tell how many those are. A quantile is a mean over ${profile.smallestGroup} patients.`,
    "",
    ...columns(["column", "rows", "missing", "values"], profile.columns.map(row)),
    "",
    ...(study.schemaDigest === null
      ? []
      : [`In study.yaml, data.schema is ${study.schema} and data.schema_digest ${study.schemaDigest}.`]),
    `A study can train on: ${study.features.join(", ")}`,
    ...(study.indicators.length === 0
      ? []
      : [`With data.missing: indicator as well on: ${study.indicators.join(", ")}`]),
  ])
}

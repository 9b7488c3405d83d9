import { type Encoded, f64, fixedBytes, list, oneOf, record, text, variant } from "@consilium/base/encoding"
import type { Study } from "./study.js"

/**
 * How every facility turns its table into rows to train on. It is part of the study, so it is signed, and all facilities
 * prepare alike: nothing of it is computed from one facility's patients alone.
 */
export const studyDataCodec = record({
  /** Name of the schema that facilities read their files under. */
  schema: text(64),
  /** Digest of all in that schema that decides a number: columns, units, ranges, codes, features. */
  schemaDigest: fixedBytes(32),
  /**
   * `drop`: rows in which a feature is missing are left out. `impute`: a missing value becomes its column's constant.
   * `indicator`: the same, and a feature per column that may be missing says by 1 where it was.
   */
  missing: oneOf("drop", "impute", "indicator"),
  /** What a missing value becomes: a number in the schema's unit (1 and 0 for yes and no), or one of its codes. */
  constants: list(
    variant({
      number: record({ column: text(64), value: f64 }),
      code: record({ column: text(64), code: text(64) }),
    }),
    4096,
  ),
})
export type StudyData = Encoded<typeof studyDataCodec>

/** What is wrong with a study's preparation of tables and what to do, or null. */
export const dataProblem = ({
  data,
}: Pick<Study, "data">): { readonly message: string; readonly remedy: string } | null => {
  if (data === null) return null
  const { schema, missing, constants } = data
  if (schema === "")
    return {
      message: "The study names no schema for its tables.",
      remedy: "Set data.schema to the schema that facilities read their files under.",
    }
  if (missing === "drop" && constants.length > 0)
    return {
      message: `${constants.length} constants are declared for missing values, but rows that lack one are left out.`,
      remedy: "Remove data.constants, or set data.missing to impute or indicator.",
    }
  const columns = constants.map(({ column }) => column)
  const twice = columns.find((column, i) => columns.indexOf(column) < i)
  if (twice !== undefined)
    return {
      message: `Two constants are declared for the column ${twice}.`,
      remedy: "Declare one constant for every column that may be missing.",
    }
  return null
}

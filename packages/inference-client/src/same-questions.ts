import { ConsiliumError } from "@consilium/base/errors"
import type { InferencePlan } from "@consilium/inference/plan/plan"
import type { InputField } from "@consilium/inference/schema/fields"

/** What of a field a value depends on; ranges are checked against the value itself. */
const meaningOf = (field: InputField): string => {
  if (field.type === "number") return `a number of ${field.unit === "" ? "no unit" : field.unit}`
  if (field.type === "boolean") return "yes or no"
  return `one of ${field.categories
    .map(({ name }) => JSON.stringify(name))
    .sort()
    .join(", ")}`
}

const meaningsOf = ({ schema }: InferencePlan): ReadonlyMap<string, string> =>
  new Map(schema.fields.map((field) => [field.name, meaningOf(field)]))

/**
 * Refuses a new version of a model that would understand a patient otherwise than the one that the patient was written for.
 * @throws {ConsiliumError} "inference/other-questions", with the fields that differ
 */
export const checkSameQuestions = (old: InferencePlan, now: InferencePlan): void => {
  const [before, after] = [meaningsOf(old), meaningsOf(now)]
  const differences = [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [was, is] = [before.get(name), after.get(name)]
    if (was === is) return []
    if (was === undefined) return [`"${name}" is new`]
    if (is === undefined) return [`"${name}" is gone`]
    return [`"${name}" is now ${is}, and was ${was}`]
  })
  if (differences.length > 0)
    throw new ConsiliumError(
      "inference/other-questions",
      `Version ${now.version} of "${now.model}" asks otherwise than ${old.version}: ${differences.join("; ")}.`,
    )
}

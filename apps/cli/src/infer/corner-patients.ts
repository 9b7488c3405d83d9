import { insecureSeededRandom } from "@consilium/base/testing"
import type { InputField, InputSchema } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"

/** Corners beside the two of all lowest and all highest values, and with them. */
const MIXED = 14
export const CORNERS = MIXED + 2

const endOf = (field: InputField, high: boolean): number | boolean | string => {
  if (field.type === "number") return field.range[high ? 1 : 0]
  if (field.type === "boolean") return high
  const sorted = [...field.categories].sort((a, b) => a.value - b.value)
  return (sorted.at(high ? -1 : 0) as (typeof sorted)[number]).name
}

const corner = ({ fields }: InputSchema, isHigh: (at: number) => boolean): Patient =>
  Object.fromEntries(fields.map((field, at) => [field.name, endOf(field, isHigh(at))]))

/** Patients at the ends of everything that is declared: all lowest, all highest, and some of both, the same every time. */
export const cornerPatients = (schema: InputSchema): readonly Patient[] => {
  const random = insecureSeededRandom("infer", "corners")
  const mixed = Array.from({ length: MIXED }, () => {
    const drawn = random.bytes(schema.fields.length)
    return corner(schema, (at) => ((drawn[at] as number) & 1) === 1)
  })
  return [corner(schema, () => false), corner(schema, () => true), ...mixed]
}

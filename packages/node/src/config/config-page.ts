import { z } from "zod"
import { CONFIG_WORDS } from "./config-words.js"
import { CONFIG_SCHEMAS, type ConfigKind } from "./kinds.js"

/** One key of a configuration file, as the reference page lists it. */
export interface ConfigKey {
  /** Such as `privacy.epsilon`, or `participants[].name`. */
  readonly key: string
  readonly values: string
  /** What it is if left out; null where it has to be said. */
  readonly otherwise: string | null
}

interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly prefixItems?: readonly JsonSchema[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
}

const word = (value: unknown): string => `\`${JSON.stringify(value)}\``

/** JSON's own limits say nothing of a key. */
const limit = (sign: string, value: number | undefined): readonly string[] =>
  value === undefined || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? [] : [`${sign} ${value}`]

const valuesOf = (schema: JsonSchema): string => {
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) return [...new Set(choices.map(valuesOf))].join(", or ")
  if (schema.const !== undefined) return word(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(word).join(", ")
  const { type: types = "any value" } = schema
  const type = typeof types === "string" ? types : types.join(" or ")
  if (type === "array")
    return schema.prefixItems === undefined
      ? `list of ${schema.items === undefined ? "values" : valuesOf(schema.items)}`
      : `${schema.prefixItems.length} of ${valuesOf(schema.prefixItems[0] ?? {})}`
  const limits = [
    ...limit("above", schema.exclusiveMinimum),
    ...limit("from", schema.minimum),
    ...limit("below", schema.exclusiveMaximum),
    ...limit("to", schema.maximum),
  ]
  const name =
    { integer: "whole number", object: "group", boolean: "true or false", string: "text" }[type] ?? type
  return [name, ...limits].join(" ")
}

const groupsOf = (schema: JsonSchema): readonly JsonSchema[] =>
  [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((one) =>
    one === schema ? (one.properties === undefined ? [] : [one]) : groupsOf(one),
  )

const listsOf = (schema: JsonSchema): readonly JsonSchema[] =>
  [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((one) =>
    one.items === undefined ? [] : [one.items],
  )

/** What a key is if it is left out. Groups without a value of their own are made of what is below them. */
const said = (value: unknown, required: boolean): string | null => {
  if (value === undefined) return required ? null : "by the study's other numbers"
  return JSON.stringify(value) === "{}" ? "what is below" : word(value)
}

const keysUnder = (schema: JsonSchema, prefix: string): readonly ConfigKey[] =>
  groupsOf(schema).flatMap(({ properties = {}, required = [] }) =>
    Object.entries(properties).flatMap(([name, part]) => {
      const key = prefix === "" ? name : `${prefix}.${name}`
      const otherwise =
        part.default === undefined && part.anyOf !== undefined && !required.includes(name)
          ? "what is below"
          : said(part.default, required.includes(name))
      const inner = keysUnder(part, key)
      const items = listsOf(part).flatMap((item) => keysUnder(item, `${key}[]`))
      const own = { key, values: valuesOf(part), otherwise }
      return [own, ...inner, ...items]
    }),
  )

/** All keys of a kind of file, in the order of its schema; a key that several forms of a group share comes once. */
export const configKeys = (kind: ConfigKind): readonly ConfigKey[] => {
  const schema = z.toJSONSchema(CONFIG_SCHEMAS[kind], { io: "input", unrepresentable: "any" }) as JsonSchema
  const keys = new Map<string, ConfigKey>()
  for (const one of keysUnder(schema, "")) {
    const before = keys.get(one.key)
    const values = before === undefined ? one.values : [...new Set([before.values, one.values])].join(", or ")
    keys.set(one.key, { ...one, values })
  }
  return [...keys.values()]
}

const HEAD = `# Configuration

Every key of every file, with its unit, what it may be, and what it is if it is left out. Unknown keys are errors, and so
are values that cannot be. \`consilium config show --effective --config FILE\` prints a file as it takes effect and names the
source of each value.

This page is made from the schemas in \`packages/node/src/config\` by \`node scripts/config-page.mjs --write\`.
`

const row = (kind: ConfigKind, { key, values, otherwise }: ConfigKey): string =>
  `| \`${key}\` | ${CONFIG_WORDS[kind].keys[key] ?? ""} | ${values.replaceAll("|", "\\|")} | ${otherwise ?? "must be said"} |`

/** The reference page of all configuration files. */
export const configPage = (): string =>
  [
    HEAD,
    ...(Object.keys(CONFIG_SCHEMAS) as readonly ConfigKind[]).flatMap((kind) => [
      `## ${kind}.yaml\n`,
      `${CONFIG_WORDS[kind].about}\n`,
      "| key | what it is | values | if left out |\n|---|---|---|---|",
      ...configKeys(kind).map((key) => row(kind, key)),
      "",
    ]),
  ].join("\n")

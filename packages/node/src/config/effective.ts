import { readFile } from "node:fs/promises"
import { basename } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import type { Directory } from "@consilium/federation/roster"
import { isKeyed, type Study } from "@consilium/federation/study"
import { parseDocument } from "yaml"
import { keyScheme } from "../api/key-scheme.js"
import { studyOfFileToPlan } from "../plan/planned-study.js"
import { CONFIG_KINDS, CONFIG_SCHEMAS, type ConfigKind } from "./kinds.js"
import { type PrivacyTerms, privacyConfigSchema, privacyTerms, withPrivacyTerms } from "./privacy-config.js"
import { studyFileSchema } from "./study-file.js"
import { parseConfig, readConfig } from "./yaml-file.js"

/**
 * Where a value comes from: the file, the default, a privacy_config.yaml that was given as well, the environment, or the
 * other values.
 */
export type ConfigSource = "file" | "default" | "privacy_config" | "environment" | "derived"

export interface EffectiveValue {
  /** Such as `privacy.epsilon`, or `participants[2].parent`. */
  readonly key: string
  /** JSON's values; null is said in the file as well. */
  readonly value: unknown
  readonly source: ConfigSource
}

export interface EffectiveConfig {
  readonly file: string
  readonly kind: ConfigKind
  readonly values: readonly EffectiveValue[]
  readonly notes: readonly string[]
}

/** What even its owner's screen does not show. */
const HIDDEN = /(^|\.)(sha256|password|passphrase|secret|token)$/
const NOT_SHOWN = "(not shown)"

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The values without parts, by their keys in the order of the file. Lists of plain values are one value each. */
const leavesOf = (value: unknown, key = ""): readonly (readonly [string, unknown])[] => {
  if (isObject(value) && Object.keys(value).length > 0)
    return Object.entries(value).flatMap(([name, part]) =>
      part === undefined ? [] : leavesOf(part, key === "" ? name : `${key}.${name}`),
    )
  if (Array.isArray(value) && value.some(isObject))
    return value.flatMap((part, i) => leavesOf(part, `${key}[${i}]`))
  return [[key, value]]
}

const parts = (key: string): readonly string[] => key.split(/[.[\]]+/).filter((part) => part !== "")

/** Whether a key is said in what was read, as far as it goes: `policy: null` says all below it. */
const isSaid = (raw: unknown, key: string): boolean => {
  let at = raw
  for (const part of parts(key)) {
    if (typeof at !== "object") return true
    if (at === null) return true
    if (!(part in at)) return false
    at = (at as Readonly<Record<string, unknown>>)[part]
  }
  return true
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

const kindOf = (path: string, raw: unknown): ConfigKind => {
  const name = basename(path).replace(/\.ya?ml$/, "")
  const byName = CONFIG_KINDS.find((kind) => kind === name)
  if (byName !== undefined) return byName
  if (isObject(raw)) {
    if ("participants" in raw || "rounds" in raw) return "study"
    if ("records" in raw) return "facility"
    if (Object.keys(raw).some((key) => key in privacyConfigSchema.shape)) return "privacy_config"
  }
  throw new ConsiliumError("config/invalid", `Nothing tells what ${path} configures.`, {
    remedy: `Say it with --as, one of ${CONFIG_KINDS.join(", ")}.`,
  })
}

/** What follows from a study's numbers, and is never written in its file. */
const derivedOf = (study: Study, directory: Directory): readonly EffectiveValue[] => {
  const of = (key: string, value: unknown): EffectiveValue => ({ key, value, source: "derived" })
  const { cohort, keys, privacy, quantisation } = study
  const scheme = isKeyed(study) ? keyScheme(study, directory) : null
  return [
    of("cohort.smallest", cohort.minCohort),
    of("cohort.threshold", cohort.threshold),
    of("cohort.colluders", cohort.colluders),
    ...(keys === null ? [] : [of("keys.openings", keys.openings), of("keys.days", keys.days)]),
    of("quantisation.largest_weight", quantisation.largestWeight),
    ...(privacy === null ? [] : [of("privacy.noise_in_use", privacy.noiseMultiplier)]),
    ...(scheme === null
      ? []
      : [
          of("ring.degree", scheme.degree),
          of("ring.modulus_bits", scheme.modulusBits),
          of("ring.primes", scheme.primes),
        ]),
  ]
}

const ofStudy = (raw: unknown, path: string, text: string, terms: PrivacyTerms | null) => {
  const before = parseConfig(studyFileSchema, path, text)
  const file = terms === null ? before : withPrivacyTerms(before, terms)
  const known = new Map(leavesOf(before))
  const configured = new Set([
    "protection",
    ...leavesOf({ privacy: terms?.privacy ?? null, ring: terms?.ring ?? null }).map(([key]) => key),
  ])
  const sourceOf = (key: string, value: unknown): ConfigSource => {
    if (terms !== null && configured.has(key)) return "privacy_config"
    if (known.has(key) && same(known.get(key), value)) return isSaid(raw, key) ? "file" : "default"
    return terms === null ? "default" : "derived"
  }
  const { setting } = studyOfFileToPlan(file, null)
  const derived = derivedOf(setting.study, setting.directory)
  const listed = leavesOf(file).map(
    ([key, value]): EffectiveValue => ({ key, value, source: sourceOf(key, value) }),
  )
  // what the study has in the end stands in the place of what the file leaves open
  const ends = new Map(derived.map((one) => [one.key, one]))
  const values = listed.map((one) => {
    const end = ends.get(one.key)
    ends.delete(one.key)
    return end === undefined || same(end.value, one.value) ? one : end
  })
  return { values: [...values, ...ends.values()], notes: terms?.notes ?? [] }
}

/**
 * A configuration file as it takes effect: each value, and where it comes from. Nothing secret is in it: keys and
 * passwords stand in files of their own, and hashes of tokens are hidden.
 * @throws {ConsiliumError} "config/unreadable", "config/invalid", "round/bad-study"
 */
export const effectiveConfig = async (
  path: string,
  options: {
    readonly as?: ConfigKind | undefined
    readonly privacyConfig?: string | undefined
    readonly environment?: Readonly<Record<string, string | undefined>>
  } = {},
): Promise<EffectiveConfig> => {
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new ConsiliumError("config/unreadable", `The file ${path} cannot be read.`, { cause })
  })
  const raw: unknown = parseDocument(text).toJS()
  const kind = options.as ?? kindOf(path, raw)
  const { privacyConfig } = options
  if (privacyConfig !== undefined && kind !== "study")
    throw new ConsiliumError(
      "config/invalid",
      `A privacy_config.yaml goes with a study, and ${path} is none.`,
    )
  const terms =
    privacyConfig === undefined ? null : privacyTerms(await readConfig(privacyConfigSchema, privacyConfig))
  const found =
    kind === "study"
      ? ofStudy(raw, path, text, terms)
      : ofRole(kind, raw, path, text, options.environment ?? {})
  const values = found.values.map((one) => (HIDDEN.test(one.key) ? { ...one, value: NOT_SHOWN } : one))
  return { file: path, kind, values, notes: found.notes }
}

const ofRole = (
  kind: Exclude<ConfigKind, "study">,
  raw: unknown,
  path: string,
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): Pick<EffectiveConfig, "values" | "notes"> => {
  const parsed: unknown = parseConfig(CONFIG_SCHEMAS[kind], path, text)
  const values = leavesOf(parsed).map(
    ([key, value]): EffectiveValue => ({ key, value, source: isSaid(raw ?? {}, key) ? "file" : "default" }),
  )
  if (kind === "leader" && environment.DATABASE_URL !== undefined) {
    const store: EffectiveValue = {
      key: "store",
      value: "the PostgreSQL of DATABASE_URL",
      source: "environment",
    }
    return { values: values.map((one) => (one.key === "store" ? store : one)), notes: [] }
  }
  if (kind !== "privacy_config") return { values, notes: [] }
  const { ring, protection, notes } = privacyTerms(privacyConfigSchema.parse(parsed))
  const derived = leavesOf({ protection, ring }).map(
    ([key, value]): EffectiveValue => ({ key: `study.${key}`, value, source: "derived" }),
  )
  return { values: [...values, ...derived], notes }
}

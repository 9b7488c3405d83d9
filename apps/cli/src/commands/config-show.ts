import { type ConfigSource, effectiveConfig } from "@consilium/node/config/effective"
import type { ConfigKind } from "@consilium/node/config/kinds"
import { columns, type Format, print } from "./printed.js"

const SOURCES: Readonly<Record<ConfigSource, string>> = {
  file: "file",
  default: "default",
  privacy_config: "privacy_config.yaml",
  environment: "environment",
  derived: "follows from the others",
}

/** Characters of a value that a line shows. */
const SHOWN = 60
const shortened = (value: unknown): string => {
  const text = JSON.stringify(value)
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 3)}...`
}

/** Prints a configuration: what the file says, or with `effective` all that it comes to. */
export const configShow = async (options: {
  readonly config: string
  readonly effective?: boolean
  readonly privacyConfig?: string
  readonly as?: ConfigKind
  readonly format: Format
}): Promise<void> => {
  const { config, effective = false, privacyConfig, as, format } = options
  const found = await effectiveConfig(config, { as, privacyConfig, environment: process.env })
  const values = effective
    ? found.values
    : found.values.filter(({ source }) => source === "file" || source === "privacy_config")
  print(format, { ...found, values }, [
    `${config}, as the configuration of a ${found.kind === "privacy_config" ? "study's privacy" : found.kind}`,
    ...found.notes.map((note) => `Note: ${note}`),
    ...columns(
      ["key", "value", "source"],
      values.map(({ key, value, source }) => [key, shortened(value), SOURCES[source]]),
    ),
  ])
}

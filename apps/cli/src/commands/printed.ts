import { Option } from "commander"

export type Format = "text" | "json"

export const format = (): Option =>
  new Option("--format <form>", "text, or one JSON value on stdout").choices(["text", "json"]).default("text")

/** A line for a terminal: what others wrote moves no cursor and changes no colour. */
const harmless = (line: string): string => line.replace(/[\p{Cc}\p{Cf}]/gu, "?")

/** Prints a result: as one JSON value, or as these lines. */
export const print = (form: Format, value: unknown, lines: readonly string[]): void => {
  process.stdout.write(
    form === "json"
      ? `${JSON.stringify(value)}\n`
      : lines.length === 0
        ? ""
        : `${lines
            .flatMap((line) => line.split("\n"))
            .map(harmless)
            .join("\n")}\n`,
  )
}

/** Rows under their heads, each column as wide as its widest cell. */
export const columns = (
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] => {
  const all = [heads, ...rows]
  const widths = heads.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)))
  return all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] as number))
      .join("  ")
      .trimEnd(),
  )
}

/** Ends a command with an exit code once all is printed. */
export class EndWith extends Error {
  readonly exitCode: number
  constructor(exitCode: number) {
    super(`The command ends with ${exitCode}.`)
    this.exitCode = exitCode
  }
}

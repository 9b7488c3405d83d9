import { HEART_CENTRES } from "@consilium/records/heart-schema"
import { type Command, InvalidArgumentError, Option } from "commander"

/** A whole number in a range. */
export const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d{1,16}$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`A whole number from ${least} to ${most} was expected.`)
    return value
  }

/** The options that say where rows of heart patients come from. */
export const readingHeart = (command: Command, purpose: string): Command =>
  command
    .option(
      "--data <path>",
      `${purpose}: the folder of the processed UCI heart files, one of them, or a heart CSV with a header`,
    )
    .addOption(
      new Option("--centre <name>", "whose file of the UCI folder (default: cleveland)").choices(
        HEART_CENTRES,
      ),
    )
    .addOption(
      new Option("--target <meaning>", "CSV: what target = 1 means (default: auto)").choices([
        "auto",
        "disease",
        "healthy",
      ]),
    )
    .addOption(
      new Option("--coding <name>", "CSV: how categories are coded (default: auto)").choices([
        "auto",
        "uci",
        "alphabetical",
        "shifted",
      ]),
    )
    .addOption(
      new Option("--simulate <rows>", "made-up rows instead, marked as such")
        .argParser(whole(1, 100_000))
        .conflicts("data"),
    )
    .option("--seed <n>", "the same number gives the same bytes", whole(0, Number.MAX_SAFE_INTEGER), 1)

/** What a help text ends with. */
export const examples = (...lines: readonly string[]): string =>
  `\n${lines.length === 1 ? "Example" : "Examples"}:\n${lines.map((line) => `  consilium infer ${line}`).join("\n")}`

/** One value more of an option that may be repeated. */
export const repeated = (text: string, before: readonly string[]): readonly string[] => [...before, text]

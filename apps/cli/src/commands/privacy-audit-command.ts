import { type Command, InvalidArgumentError } from "commander"
import { format } from "./printed.js"

const whole =
  (least: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`A whole number from ${least} on was expected.`)
    return value
  }

/** `consilium privacy audit`. */
export const privacyAuditCommand = (privacy: Command): void => {
  privacy
    .command("audit")
    .description(
      "attack what leaves a facility, and what the leader holds, and print how far each attack gets",
    )
    .option("--data <dir>", "folder with processed.cleveland.data; rows are invented without it")
    .option(
      "--seed <n>",
      "the same audit again, to the digit; without it, the system's own randomness",
      whole(0),
    )
    .option("--trials <n>", "how many times attacks that need many tries are tried", whole(200), 400)
    .option(
      "--process [file]",
      "audit the program that facilities run instead: this one, or another build's process.js",
    )
    .addOption(format())
    .addHelpText(
      "after",
      "\nExamples:\n  consilium privacy audit --data heart-data\n  consilium privacy audit --process\n\n" +
        "It ends with 1 if a bound does not hold. Of audits of a sound build, about one in a thousand does so by chance.",
    )
    .action(async (options) => (await import("./privacy-audit.js")).privacyAudit(options))
}

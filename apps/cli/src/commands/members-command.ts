import { type Command, InvalidArgumentError, Option } from "commander"
import { format } from "./printed.js"

const days = (text: string): number => {
  const value = Number(text)
  if (!/^\d{1,3}$/.test(text) || value < 1 || value > 365)
    throw new InvalidArgumentError("1 to 365 days were expected.")
  return value
}

/** `consilium join`, `leave` and `members`. */
export const membersCommands = (program: Command): void => {
  program
    .command("join")
    .description("invite a facility or a fog: makes its kit, to be handed over; the authority may run or not")
    .argument("<name>", "the newcomer's name; lower-case letters, digits and hyphens")
    .requiredOption("--authority <file>", "authority.yaml")
    .requiredOption(
      "--parent <name>",
      "whom it talks to: an enrolled fog or the leader; for a fog, the leader",
    )
    .addOption(new Option("--role <role>", "what it is").choices(["facility", "fog"]).default("facility"))
    .requiredOption("--out <dir>", "folder in which the newcomer's folder is made")
    .option("--url <url>", "how it reaches the authority, if that is not where the authority listens")
    .option("--days <n>", "how long the invitation is good for", days, 30)
    .addOption(format())
    .addHelpText(
      "after",
      "\nExample:\n  consilium join river --authority study/authority/authority.yaml --parent fog-1 --out invited",
    )
    .action(async (name, options) => (await import("./members.js")).join(name, options))
  program
    .command("leave")
    .description(
      "ask that this facility leave all its studies for good, with the next round; it may run or not",
    )
    .requiredOption("--config <file>", "facility.yaml")
    .addOption(format())
    .addHelpText("after", "\nExample:\n  consilium leave --config study/north/local/facility.yaml")
    .action(async (options) => (await import("./members.js")).leave(options))
  program
    .command("members")
    .description("everybody whom the authority knows: invited, enrolled, left; the authority may run or not")
    .requiredOption("--authority <file>", "authority.yaml")
    .addOption(format())
    .addHelpText("after", "\nExample:\n  consilium members --authority study/authority/authority.yaml")
    .action(async (options) => (await import("./members.js")).members(options))
}

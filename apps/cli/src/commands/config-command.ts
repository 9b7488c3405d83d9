import { type Command, Option } from "commander"
import { format } from "./printed.js"

/** `consilium config show`. */
export const configCommands = (program: Command): void => {
  program
    .command("config")
    .description("configuration files as they take effect")
    .command("show")
    .description("every value of a configuration file, and where it comes from; secrets are never shown")
    .requiredOption(
      "--config <file>",
      "study.yaml, facility.yaml, fog.yaml, leader.yaml, authority.yaml or privacy_config.yaml",
    )
    .option("--effective", "defaults and derived values as well, each with its source")
    .option(
      "--privacy-config <file>",
      "with a study: a privacy_config.yaml in the place of what it says of noise and encryption",
    )
    .addOption(
      new Option("--as <kind>", "what the file configures, where its name does not tell").choices([
        "study",
        "facility",
        "fog",
        "leader",
        "authority",
        "privacy_config",
      ]),
    )
    .addOption(format())
    .addHelpText(
      "after",
      "\nExamples:\n  consilium config show --effective --config study/study.yaml\n" +
        "  consilium config show --effective --config study/study.yaml --privacy-config privacy_config.yaml",
    )
    .action(async (options) => (await import("./config-show.js")).configShow(options))
}

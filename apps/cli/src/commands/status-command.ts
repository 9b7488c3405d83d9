import type { Command } from "commander"
import { format } from "./printed.js"

/** `consilium status`. */
export const statusCommands = (program: Command): void => {
  program
    .command("status")
    .description("what a running role is doing, by its configuration file")
    .requiredOption("--config <file>", "authority.yaml, leader.yaml, fog.yaml or facility.yaml")
    .addOption(format())
    .addHelpText("after", "\nExample:\n  consilium status --config study/leader/local/leader.yaml")
    .action(async (options) => (await import("./status.js")).status(options))
}

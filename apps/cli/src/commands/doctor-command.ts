import type { Command } from "commander"
import { format } from "./printed.js"

/** `consilium doctor`. */
export const doctorCommands = (program: Command): void => {
  program
    .command("doctor")
    .description("check this machine, or one role on it: each check passed, or the problem and how to fix it")
    .option(
      "--config <file>",
      "a role's file as well: authority.yaml, leader.yaml, fog.yaml or facility.yaml",
    )
    .addOption(format())
    .addHelpText(
      "after",
      "\nExamples:\n  consilium doctor\n  consilium doctor --config study/north/local/facility.yaml\n" +
        "\nThe exit code is that of the first problem's class. Most checks of a role need it to be stopped.",
    )
    .action(async (options) => (await import("./doctor.js")).doctor(options))
}

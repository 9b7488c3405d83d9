import { ConsiliumError } from "@consilium/base/errors"
import { Argument, type Command } from "commander"
import { format } from "./printed.js"

/** `consilium privacy ledger` and `consilium privacy ledger reset`. */
export const privacyLedgerCommand = (privacy: Command): void => {
  privacy
    .command("ledger")
    .description("what a facility has spent of its patients' privacy, and how many more rounds fit")
    .addArgument(
      new Argument("[action]", "reset: start a ledger anew whose newest entries are lost").choices(["reset"]),
    )
    .requiredOption("--config <file>", "facility.yaml; to reset, of the running facility")
    .option("--by <name>", "reset: who decides it; it is written to the facility's log")
    .option("--reason <text>", "reset: why, in a sentence")
    .addOption(format())
    .addHelpText(
      "after",
      "\nExamples:\n  consilium privacy ledger --config study/north/local/facility.yaml\n" +
        '  consilium privacy ledger reset --config study/north/local/facility.yaml --by "A. Okafor" --reason "the disk is lost"\n\n' +
        "After a reset the whole budget of the month counts as spent.",
    )
    .action(async (action, { config, by, reason, format: form }) => {
      const commands = await import("./privacy-ledger.js")
      if (action === undefined) return commands.privacyLedger(config, form)
      if (by === undefined || reason === undefined)
        throw new ConsiliumError("cli/usage", "A reset needs --by and --reason.")
      return commands.resetLedger(config, { by, reason }, form)
    })
}

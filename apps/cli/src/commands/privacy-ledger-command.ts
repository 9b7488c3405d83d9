import { ConsiliumError } from "@consilium/base/errors"
import { Argument, type Command, Option } from "commander"
import { format } from "./printed.js"

/** `consilium privacy ledger`, `privacy ledger reset` and `privacy ledger export`. */
export const privacyLedgerCommand = (privacy: Command): void => {
  privacy
    .command("ledger")
    .description("what a facility has spent of its patients' privacy, and how many more rounds fit")
    .addArgument(
      new Argument(
        "[action]",
        "reset: start a ledger anew whose newest entries are lost; export: write all of it into a file",
      ).choices(["reset", "export"]),
    )
    .requiredOption("--config <file>", "facility.yaml; to reset, of the running facility")
    .option("--by <name>", "reset: who decides it; it is written to the facility's log")
    .option("--reason <text>", "reset: why, in a sentence")
    .option("--out <file>", "export: the file to write; what is there is kept")
    .option("--force", "export: write over a file that is there", false)
    .addOption(
      new Option(
        "--form <form>",
        "export: of the file; Markdown to read, CSV or JSON for machines (default: as its name ends, or md)",
      ).choices(["md", "csv", "json"]),
    )
    .addOption(format())
    .addHelpText(
      "after",
      "\nExamples:\n  consilium privacy ledger --config study/north/local/facility.yaml\n" +
        "  consilium privacy ledger export --config study/north/local/facility.yaml --out privacy-north.md\n" +
        '  consilium privacy ledger reset --config study/north/local/facility.yaml --by "A. Okafor" --reason "the disk is lost"\n\n' +
        "After a reset the whole budget of the month counts as spent, and that of the lifetime if the policy has one.",
    )
    .action(async (action, { config, by, reason, out, force, form, format: printed }) => {
      const commands = await import("./privacy-ledger.js")
      if (action === "export") {
        if (out === undefined) throw new ConsiliumError("cli/usage", "An export needs --out.")
        return commands.exportLedger({ config, out, form: form ?? null, force }, printed)
      }
      if (out !== undefined || force || form !== undefined)
        throw new ConsiliumError("cli/usage", "--out, --force and --form are of an export only.")
      if (action === undefined) return commands.privacyLedger(config, printed)
      if (by === undefined || reason === undefined)
        throw new ConsiliumError("cli/usage", "A reset needs --by and --reason.")
      return commands.resetLedger(config, { by, reason }, printed)
    })
}

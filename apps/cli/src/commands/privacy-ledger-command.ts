import { ConsiliumError } from "@consilium/base/errors"
import { Argument, type Command, Option } from "commander"

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
        "--format <form>",
        "text, or one JSON value on stdout; export: md, csv or json, the form of the file (default: as its name ends, or md)",
      ).choices(["text", "json", "md", "csv"]),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  consilium privacy ledger --config study/north/local/facility.yaml\n" +
        "  consilium privacy ledger export --config study/north/local/facility.yaml --out privacy-north.md\n" +
        '  consilium privacy ledger reset --config study/north/local/facility.yaml --by "A. Okafor" --reason "the disk is lost"\n\n' +
        "After a reset the whole budget of the month counts as spent, and that of the lifetime if the policy has one.",
    )
    .action(async (action, { config, by, reason, out, force, format: form }) => {
      const commands = await import("./privacy-ledger.js")
      if (action === "export") {
        if (out === undefined) throw new ConsiliumError("cli/usage", "An export needs --out.")
        if (form === "text")
          throw new ConsiliumError("cli/usage", "The form of an export is md, csv or json.")
        return commands.exportLedger({ config, out, form: form ?? null, force })
      }
      if (form === "md" || form === "csv")
        throw new ConsiliumError("cli/usage", `The form ${form} is of an export only.`)
      if (action === undefined) return commands.privacyLedger(config, form ?? "text")
      if (by === undefined || reason === undefined)
        throw new ConsiliumError("cli/usage", "A reset needs --by and --reason.")
      return commands.resetLedger(config, { by, reason }, form ?? "text")
    })
}

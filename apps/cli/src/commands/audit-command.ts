import { type Command, Option } from "commander"

const format = (): Option =>
  new Option("--format <form>", "text, or one JSON value on stdout").choices(["text", "json"]).default("text")
const study = (): Option => new Option("--study <name>", "which, if the folder holds several")
const heads = (): Option =>
  new Option("--heads <files...>", "heads that facilities kept: exported files, or a facility.yaml")

/** `consilium audit verify`, `export` and `heads`. */
export const auditCommands = (program: Command): void => {
  const audit = program.command("audit").description("check a leader's log as a stranger would")
  const verify = audit
    .command("verify")
    .description("replay a leader's log: signatures, rosters, certificates, sums and models")
    .option("--config <file>", "leader.yaml, beside its kit and data folder; the leader must not be running")
    .addOption(new Option("--file <bundle>", "an exported log, instead").conflicts(["config", "study"]))
    .option("--authority <key>", "with --file: the authority's public signing key, 64 hexadecimal digits")
    .addOption(study())
    .addOption(heads())
    .addOption(format())
    .addHelpText(
      "after",
      "\nExample:\n  consilium audit verify --config study/leader/local/leader.yaml\n" +
        "  consilium audit verify --file study.log --authority <64 digits> --heads north.heads south.heads",
    )
  verify.action(async (options) => {
    if (options.config === undefined && options.file === undefined)
      verify.error("error: give --config leader.yaml, or --file with an exported log")
    if ((options.file === undefined) !== (options.authority === undefined))
      verify.error("error: --file and --authority go together")
    await (await import("./audit.js")).auditVerify(options)
  })
  audit
    .command("export")
    .description("write a leader's whole log into one file that a stranger can verify")
    .requiredOption("--config <file>", "leader.yaml; the leader must not be running")
    .requiredOption("--to <file>", "file to write")
    .addOption(study())
    .addOption(heads())
    .addOption(format())
    .addHelpText(
      "after",
      "\nExample:\n  consilium audit export --config study/leader/local/leader.yaml --to study.log",
    )
    .action(async (options) => (await import("./audit.js")).auditExport(options))
  audit
    .command("heads")
    .description("write the heads of the leader's log that facilities signed, as this one kept them")
    .requiredOption("--config <file>", "facility.yaml; the facility must not be running")
    .requiredOption("--to <file>", "file to write")
    .addOption(study())
    .addOption(format())
    .addHelpText(
      "after",
      "\nExample:\n  consilium audit heads --config study/north/local/facility.yaml --to north.heads",
    )
    .action(async (options) => (await import("./audit.js")).auditHeads(options))
}

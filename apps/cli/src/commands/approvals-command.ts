import type { Command } from "commander"
import { format } from "./printed.js"

const deciding = (approvals: Command, name: "approve" | "deny", what: string): void => {
  approvals
    .command(name)
    .description(what)
    .requiredOption("--config <file>", "facility.yaml of the running facility")
    .option("--study <name>", "its name, or the beginning of its id (default: the one that waits)")
    .requiredOption("--by <name>", "who decides it; it is written to the facility's log")
    .addOption(format())
    .addHelpText(
      "after",
      `\nExample:\n  consilium approvals ${name} --config study/north/local/facility.yaml --by "A. Okafor"`,
    )
    .action(async (options) => (await import("./approvals.js")).decide(name === "approve", options))
}

/** `consilium approvals list`, `approve` and `deny`. */
export const approvalsCommands = (program: Command): void => {
  const approvals = program
    .command("approvals")
    .description("what people at a facility decide about studies, where its policy says `approval: ask`")
  approvals
    .command("list")
    .description("the facility's studies, and which of them waits for a person")
    .requiredOption("--config <file>", "facility.yaml of the running facility")
    .addOption(format())
    .addHelpText("after", "\nExample:\n  consilium approvals list --config study/north/local/facility.yaml")
    .action(async (options) => (await import("./approvals.js")).list(options))
  deciding(approvals, "approve", "allow a study to train on this facility's records")
  deciding(approvals, "deny", "forbid a study to train on this facility's records")
}

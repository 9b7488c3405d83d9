import { type Command, InvalidArgumentError, Option } from "commander"
import { format } from "./printed.js"

const round = (text: string): number => {
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < 1) throw new InvalidArgumentError("A round's number was expected.")
  return value
}
const hash = (text: string): string => {
  if (!/^[0-9a-f]{8,64}$/i.test(text))
    throw new InvalidArgumentError("8 to 64 hexadecimal digits were expected.")
  return text.toLowerCase()
}

/** A command about the models of a leader's study. */
const about = (model: Command, name: string, what: string): Command =>
  model
    .command(name)
    .description(what)
    .requiredOption("--config <file>", "leader.yaml; the leader may run or not")
    .option("--study <name>", "its name, or the beginning of its id, if there are several")

const picking = (command: Command): Command =>
  command
    .addOption(new Option("--round <n>", "the model of this round").argParser(round))
    .addOption(
      new Option("--hash <hex>", "the model whose hash begins so (without either: the model in use)")
        .argParser(hash)
        .conflicts("round"),
    )

const example = (line: string): string => `\nExample:\n  consilium model ${line}`
const LEADER = "--config study/leader/local/leader.yaml"

/** `consilium model list`, `show`, `export`, `card` and `rollback`. */
export const modelCommands = (program: Command): void => {
  const model = program.command("model").description("the models of a study, and which of them is in use")
  about(model, "list", "the models of all closed rounds, and which is in use")
    .addOption(format())
    .addHelpText("after", example(`list ${LEADER}`))
    .action(async (options) => (await import("./model.js")).modelList(options))
  picking(about(model, "show", "one model: whose sum it comes from, and the figures that facilities report"))
    .addOption(format())
    .addHelpText("after", example(`show ${LEADER} --round 3`))
    .action(async (options) => (await import("./model.js")).modelShow(options))
  picking(about(model, "export", "write a model's file, once it is the one that its hash names"))
    .requiredOption("--to <file>", "file to write")
    .addOption(format())
    .addHelpText("after", example(`export ${LEADER} --to model.consilium`))
    .action(async (options) => (await import("./model.js")).modelExport(options))
  picking(about(model, "card", "a model card: purpose, data, protection, figures, limits, how to verify"))
    .option("--to <file>", "file to write, in Markdown (default: standard output)")
    .addOption(format())
    .addHelpText("after", example(`card ${LEADER} --to MODEL_CARD.md`))
    .action(async (options) => (await import("./model.js")).modelCardOut(options))
  about(model, "rollback", "make the model of an earlier round the one in use; the decision is logged")
    .addOption(
      new Option("--round <n>", "the round whose model to use").argParser(round).makeOptionMandatory(),
    )
    .requiredOption("--reason <text>", "why, one line for the log")
    .requiredOption("--by <name>", "who decides it")
    .addOption(format())
    .addHelpText(
      "after",
      example(`rollback ${LEADER} --round 3 --by "A. Okafor" --reason "fewer false alarms"`),
    )
    .action(async (options) => (await import("./model.js")).modelRollback(options))
}

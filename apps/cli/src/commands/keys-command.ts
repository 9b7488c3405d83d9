import { type Command, InvalidArgumentError, Option } from "commander"
import { format } from "./printed.js"

const epoch = (text: string): number => {
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < 1) throw new InvalidArgumentError("An epoch's number was expected.")
  return value
}

/** A command about the keys of a study, which is asked of the leader's API or of a role's own folder. */
const about = (keys: Command, name: string, what: string, config: string): Command =>
  keys
    .command(name)
    .description(what)
    .addOption(
      new Option("--leader <url>", "the leader's API, such as http://127.0.0.1:8001").conflicts("config"),
    )
    .option("--config <file>", config)
    .option("--token-file <file>", "file with the API token, for its owner only; not needed on loopback")
    .option("--ca <file>", "PEM file of the certificate authority of an https leader")
    .option("--study <name>", "its name, or the beginning of its id, if there are several")

/** Ends a command line that names no place to ask, or two. */
const needsPlace = (
  command: Command,
  { leader, config }: { readonly leader?: string; readonly config?: string },
  file: string,
): void => {
  if ((leader === undefined) === (config === undefined))
    command.error(`error: give --leader URL, or --config ${file}`)
}

const EXAMPLE = "\nExample:\n  consilium keys"

/** `consilium keys status`, `rotate` and `ceremony`. */
export const keysCommands = (program: Command): void => {
  const keys = program
    .command("keys")
    .description("the keys that updates are encrypted under: who has them, and when they are changed")
  const status = about(
    keys,
    "status",
    "scheme, parameters, epoch, who has keys, openings left, when they end; at a facility what it holds itself",
    "or leader.yaml, whose leader may run or not, or facility.yaml of a running facility",
  )
    .addOption(format())
    .addHelpText("after", `${EXAMPLE} status --config study/north/local/facility.yaml`)
  status.action(async (options) => {
    needsPlace(status, options, "leader.yaml or facility.yaml")
    await (await import("./keys.js")).keysStatus(options)
  })
  const rotate = about(
    keys,
    "rotate",
    "ask that the next round begin with new keys; the wish and its reason are logged",
    "or leader.yaml of a leader that runs on this machine",
  )
    .requiredOption("--reason <text>", "why, one line for the log")
    .option("--by <name>", "who asks (default: the token's name, or who runs the command)")
    .addOption(format())
    .addHelpText(
      "after",
      `${EXAMPLE} rotate --config study/leader/local/leader.yaml --reason "a laptop of north was lost"`,
    )
  rotate.action(async (options) => {
    needsPlace(rotate, options, "leader.yaml")
    await (await import("./keys.js")).keysRotate(options)
  })
  const ceremony = about(
    keys,
    "ceremony",
    "every key ceremony step by step, from the log: who dealt, checked, complained, tested and signed",
    "or leader.yaml; the leader may run or not",
  )
    .addOption(new Option("--epoch <n>", "only the ceremony for this epoch").argParser(epoch))
    .addOption(format())
    .addHelpText("after", `${EXAMPLE} ceremony --leader http://127.0.0.1:8001 --epoch 2`)
  ceremony.action(async (options) => {
    needsPlace(ceremony, options, "leader.yaml")
    await (await import("./keys-ceremony.js")).keysCeremony(options)
  })
}

import { type Command, Option } from "commander"
import { format } from "./printed.js"

/** A command that talks to a leader's API. */
const toLeader = (study: Command, name: string, what: string): Command =>
  study
    .command(name)
    .description(what)
    .requiredOption("--leader <url>", "the leader's API, such as http://127.0.0.1:8001")
    .option("--token-file <file>", "file with the API token, for its owner only; not needed on loopback")
    .option("--ca <file>", "PEM file of the certificate authority of an https leader")

const EXAMPLE = "\nExample:\n  consilium study"

/** `consilium study start`, `list` and `status`. */
export const studyCommands = (program: Command): void => {
  const study = program.command("study").description("start studies at a running leader, and look at them")
  const start = toLeader(study, "start", "start a study among the participants present")
    .addOption(
      new Option("--privacy <kind>", "a preset by its kind of privacy").choices([
        "differential",
        "homomorphic",
        "mpc",
        "combined",
      ]),
    )
    .addOption(new Option("--file <study.yaml>", "or a whole study").conflicts("privacy"))
    .addOption(format())
    .addHelpText("after", `${EXAMPLE} start --leader http://127.0.0.1:8001 --privacy mpc`)
  start.action(async (options) => {
    if ((options.privacy === undefined) === (options.file === undefined))
      start.error("error: give --privacy KIND, or --file study.yaml")
    await (await import("./study.js")).studyStart(options)
  })
  toLeader(study, "list", "the studies of the leader")
    .addOption(format())
    .addHelpText("after", `${EXAMPLE} list --leader http://127.0.0.1:8001`)
    .action(async (options) => (await import("./study.js")).studyList(options))
  toLeader(study, "status", "one study: rounds, participants, figures, privacy; JSON has all of it")
    .option("--study <name>", "its name, or the beginning of its id, if there are several")
    .addOption(format())
    .addHelpText("after", `${EXAMPLE} status --leader http://127.0.0.1:8001 --study heart`)
    .action(async (options) => (await import("./study.js")).studyStatus(options))
}

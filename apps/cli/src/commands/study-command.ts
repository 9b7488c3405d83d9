import { type Command, InvalidArgumentError, Option } from "commander"
import { format } from "./printed.js"
import type { Until } from "./study-wait.js"

/** A command that talks to a leader's API. */
const toLeader = (study: Command, name: string, what: string): Command =>
  study
    .command(name)
    .description(what)
    .requiredOption("--leader <url>", "the leader's API, such as http://127.0.0.1:8001")
    .option("--token-file <file>", "file with the API token, for its owner only; not needed on loopback")
    .option("--ca <file>", "PEM file of the certificate authority of an https leader")

/** Whole seconds. */
const seconds = (text: string): number => {
  const value = Number(text)
  if (!/^\d{1,7}$/.test(text) || value < 1)
    throw new InvalidArgumentError("A whole number of seconds was expected.")
  return value
}

const UNTIL = /^(?:end|round[ :=](\d{1,9}))$/
/** What is waited for: `end`, or `round N` as one word or two. */
const until = (words: readonly string[]): Until | null => {
  const [all, round] = UNTIL.exec(words.join(" ")) ?? []
  if (all === undefined || round === "0") return null
  return round === undefined ? { what: "end" } : { what: "round", round: Number(round) }
}

const EXAMPLE = "\nExample:\n  consilium study"

/** `consilium study plan`, `start`, `list`, `status`, `figures`, `wait`, `stop` and `compare`. */
export const studyCommands = (program: Command): void => {
  const study = program.command("study").description("plan, start, follow, stop and compare studies")
  const plan = study
    .command("plan")
    .description(
      "what a study will be, without data and without starting it: rules, bytes, time, epsilon, warnings",
    )
    .addOption(
      new Option("--file <study.yaml>", "the study; with --leader, among those who are present there"),
    )
    .addOption(
      new Option("--config <folder>", "or a study folder as init made it, with the policies in it").conflicts(
        ["file", "leader"],
      ),
    )
    .addOption(
      new Option("--privacy <kind>", "or a preset of a running leader, by its kind of privacy")
        .choices(["differential", "homomorphic", "mpc", "combined"])
        .conflicts(["file", "config", "privacyConfig"]),
    )
    .option(
      "--privacy-config <file>",
      "a privacy_config.yaml in the place of what the study says of noise and encryption; with --leader alone, of its first study",
    )
    .option("--leader <url>", "the leader's API, such as http://127.0.0.1:8001")
    .option("--token-file <file>", "file with the API token, for its owner only; not needed on loopback")
    .option("--ca <file>", "PEM file of the certificate authority of an https leader")
    .option("--no-time", "measure nothing on this machine")
    .addOption(format())
    .addHelpText("after", `${EXAMPLE} plan --config study`)
  plan.action(async (options) => {
    const { file, config, privacy, privacyConfig, leader } = options
    const configured = privacyConfig !== undefined && leader !== undefined
    if (!configured && [file, config, privacy].every((one) => one === undefined))
      plan.error(
        "error: give --file study.yaml, --config FOLDER, or --privacy KIND or --privacy-config FILE with --leader URL",
      )
    await (await import("./study-plan.js")).studyPlan(options)
  })
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
    .addOption(
      new Option(
        "--privacy-config <file>",
        "or a privacy_config.yaml, for the model and rounds of the leader's first study",
      ).conflicts(["privacy", "file"]),
    )
    .addOption(format())
    .addHelpText("after", `${EXAMPLE} start --leader http://127.0.0.1:8001 --privacy mpc`)
  start.action(async (options) => {
    const { privacy, file, privacyConfig } = options
    if ([privacy, file, privacyConfig].filter((one) => one !== undefined).length !== 1)
      start.error("error: give --privacy KIND, --file study.yaml, or --privacy-config FILE")
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
  toLeader(study, "figures", "statistics and evaluations of all patients together, as far as they are opened")
    .option("--study <name>", "its name, or the beginning of its id, if there are several")
    .addOption(format())
    .addHelpText("after", `${EXAMPLE} figures --leader http://127.0.0.1:8001 --study heart`)
    .action(async (options) => (await import("./study.js")).studyFigures(options))
  const wait = toLeader(
    study,
    "wait",
    "follow a study to its end or to a round's; the exit code says how it ended",
  )
    .option("--study <name>", "its name, or the beginning of its id, if there are several")
    .option("--until <what...>", "end, or round N", ["end"])
    .option("--timeout <seconds>", "give up after so long (default: never)", seconds)
    .option("--patience <seconds>", "how long the leader may be away, once it has answered", seconds, 120)
    .addOption(format())
    .addHelpText(
      "after",
      `\nExit codes: 0 it has come, 8 the study was aborted or stopped, 9 the time is up.${EXAMPLE} wait --leader http://127.0.0.1:8001 --study heart --until round 3 --timeout 600`,
    )
  wait.action(async (options) => {
    const what = until(options.until)
    if (what === null) wait.error("error: --until takes end, or round N")
    await (await import("./study-wait.js")).studyWait({ ...options, until: what })
  })
  const stop = study
    .command("stop")
    .description(
      "end a running study in good order, for a reason that is logged; the last closed round's model stays",
    )
    .addOption(
      new Option("--leader <url>", "the leader's API, such as http://127.0.0.1:8001").conflicts("config"),
    )
    .option("--config <file>", "or leader.yaml of a leader that runs on this machine")
    .option("--token-file <file>", "file with the API token, for its owner only; not needed on loopback")
    .option("--ca <file>", "PEM file of the certificate authority of an https leader")
    .option("--study <name>", "its name, or the beginning of its id, if there are several")
    .requiredOption("--reason <text>", "why, one line for the log")
    .option("--by <name>", "who decides it (default: the token's name, or who runs the command)")
    .addOption(format())
    .addHelpText(
      "after",
      `${EXAMPLE} stop --leader http://127.0.0.1:8001 --study heart --reason "wrong labels at north" --by "A. Okafor"`,
    )
  stop.action(async (options) => {
    if ((options.leader === undefined) === (options.config === undefined))
      stop.error("error: give --leader URL, or --config leader.yaml")
    await (await import("./study-stop.js")).studyStop(options)
  })
  study
    .command("compare")
    .description(
      "finished studies side by side: figures, bytes, seconds, epsilon, and whether they can be compared",
    )
    .argument("[studies...]", "names or ids, with --leader or --config; else folders that hold outcome.json")
    .addOption(
      new Option("--leader <url>", "the leader's API, such as http://127.0.0.1:8001").conflicts("config"),
    )
    .option("--config <file>", "or leader.yaml: studies in its data folder, all if none is named")
    .option("--token-file <file>", "file with the API token, for its owner only; not needed on loopback")
    .option("--ca <file>", "PEM file of the certificate authority of an https leader")
    .addOption(format())
    .addHelpText("after", `${EXAMPLE} compare heart heart-mpc-2 --config study/leader/local/leader.yaml`)
    .action(async (studies, options) => (await import("./study-compare.js")).studyCompare(studies, options))
}

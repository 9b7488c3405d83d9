import { ConsiliumError } from "@consilium/base/errors"
import { PROTECTIONS } from "@consilium/federation/study"
import { Command, CommanderError, InvalidArgumentError, Option } from "commander"
import { approvalsCommands } from "./commands/approvals-command.js"
import { auditCommands } from "./commands/audit-command.js"
import { benchCommands } from "./commands/bench-command.js"
import { configCommands } from "./commands/config-command.js"
import { dataCommands } from "./commands/data-command.js"
import { doctorCommands } from "./commands/doctor-command.js"
import { inferCommands } from "./commands/infer-command.js"
import { keysCommands } from "./commands/keys-command.js"
import { membersCommands } from "./commands/members-command.js"
import { modelCommands } from "./commands/model-command.js"
import { EndWith } from "./commands/printed.js"
import { privacyAuditCommand } from "./commands/privacy-audit-command.js"
import { privacyLedgerCommand } from "./commands/privacy-ledger-command.js"
import { privacyPlanCommand } from "./commands/privacy-plan-command.js"
import { statusCommands } from "./commands/status-command.js"
import { studyCommands } from "./commands/study-command.js"
import { SUBJECTS } from "./demo/subjects.js"

/** The version in package.json; a test keeps them equal. */
export const VERSION = "0.1.0"

const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`A whole number of ${least} or more was expected.`)
    return value
  }

const positive = (text: string): number => {
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("A number above 0 was expected.")
  return value
}

const notNegative = (text: string): number => {
  const value = Number(text)
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError("A number of 0 or more was expected.")
  return value
}

const format = (): Option =>
  new Option("--format <form>", "text, or one JSON value on stdout").choices(["text", "json"]).default("text")

const roleCommand = (
  program: Command,
  role: "authority" | "leader" | "fog" | "facility",
  what: string,
): void => {
  program
    .command(role)
    .description(what)
    .command("start")
    .description(`run the ${role} until its study ends`)
    .requiredOption("--config <file>", `${role}.yaml`)
    .option("--patience <seconds>", "how long to wait for the authority and the others", wholeNumber(1), 600)
    .option("--with-parent", "end when standard input closes")
    .addOption(format())
    .addHelpText("after", `\nExample:\n  consilium ${role} start --config study/${role}-1/local/${role}.yaml`)
    .action(async (options) => (await import("./commands/start.js")).start(role, options))
}

/** Any number that is written out; what it may be is checked where it is used. */
const anyNumber = (text: string): number => {
  const value = Number(text)
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("A number was expected.")
  return value
}

const privacyCommands = (program: Command): void => {
  const privacy = program
    .command("privacy")
    .description("what differential privacy costs, and what a facility has spent")
  const accountant = () =>
    new Option("--accountant <name>", "rdp (fast) or pld (tight, slower)")
      .choices(["rdp", "pld"])
      .default("rdp")
  const mechanism = (what: string) => new Option("--mechanism <name>", what).choices(["gaussian", "laplace"])
  privacy
    .command("epsilon")
    .description("the epsilon of noisy training (DP-SGD), or of noisy numbers")
    .addOption(accountant())
    .addOption(mechanism("the noise").default("gaussian"))
    .option("--noise-multiplier <z>", "gaussian: standard deviation of the noise / clip norm", anyNumber)
    .option("--sample-rate <q>", "probability that a patient joins a step", anyNumber, 1)
    .option("--steps <n>", "training steps", wholeNumber(0), 1)
    .option("--scale <b>", "laplace: scale of the noise", anyNumber)
    .option("--sensitivity <s>", "laplace: how far one patient moves the number (L1)", anyNumber, 1)
    .option("--count <n>", "laplace: how many numbers are released", wholeNumber(0), 1)
    .requiredOption("--delta <d>", "probability that epsilon may fail", anyNumber)
    .addOption(format())
    .addHelpText(
      "after",
      "\nExamples:\n  consilium privacy epsilon --noise-multiplier 1.1 --sample-rate 0.01 --steps 1000 --delta 1e-5\n" +
        "  consilium privacy epsilon --mechanism laplace --scale 10 --count 100 --delta 1e-5",
    )
    .action(async (options) => (await import("./commands/privacy.js")).privacyEpsilon(options))
  privacy
    .command("calibrate")
    .description("the least noise that keeps within epsilon")
    .addOption(accountant())
    .addOption(mechanism("one release with this noise, instead of training"))
    .requiredOption("--epsilon <e>", "what may be spent", anyNumber)
    .option("--delta <d>", "probability that epsilon may fail (laplace noise needs none)", anyNumber)
    .option("--sample-rate <q>", "training: probability that a patient joins a step", anyNumber)
    .option("--steps <n>", "training: steps", wholeNumber(0))
    .option(
      "--sensitivity <s>",
      "how far one patient moves the release (gaussian: L2, laplace: L1)",
      anyNumber,
      1,
    )
    .addOption(format())
    .addHelpText(
      "after",
      "\nExamples:\n  consilium privacy calibrate --epsilon 1 --delta 1e-5 --sample-rate 0.01 --steps 1000\n" +
        "  consilium privacy calibrate --mechanism gaussian --sensitivity 1 --epsilon 1 --delta 1e-5",
    )
    .action(async (options) => (await import("./commands/privacy.js")).privacyCalibrate(options))
  privacyPlanCommand(privacy)
  privacyLedgerCommand(privacy)
  privacyAuditCommand(privacy)
}

/** The whole command line, before it is given any words. */
export const commandLine = (): Command => {
  const program = new Command("consilium")
    .description("Hospitals train one clinical model together; nothing but a certified sum is ever opened.")
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError("(--help shows what there is)")
  program
    .command("demo")
    .description("run a whole study on this machine, in real processes, and report")
    .addOption(new Option("--study <name>", "what to train on").choices(SUBJECTS).default("simulated"))
    .option(
      "--data <dir>",
      "folder with the four processed UCI heart files (--study heart), or with PneumoniaMNIST as IDX files (--study pneumonia)",
    )
    .option(
      "--facilities <n>",
      "facilities in all (simulated: 6; heart: the four centres; pneumonia: 5)",
      wholeNumber(3),
    )
    .option(
      "--fogs <n>",
      "fog nodes (simulated: 2; heart, pneumonia: 1); with 0 facilities talk to the leader",
      wholeNumber(0),
    )
    .option("--rounds <n>", "rounds (simulated: 10; heart: 15; pneumonia: 20)", wholeNumber(1))
    .option(
      "--seed <n>",
      "derive every secret from this number: reproducible, and not private",
      wholeNumber(0),
    )
    .addOption(
      new Option(
        "--strategy <name>",
        "how updates are made and joined (simulated: fedavg; heart: fedyogi)",
      ).choices(["fedavg", "fedprox", "scaffold", "ditto", "fedavgm", "fedadam", "fedyogi", "fedadagrad"]),
    )
    .option(
      "--mu <x>",
      "weight of the proximal term that holds local steps near the common model (fedprox: 0.01; others: 0)",
      notNegative,
    )
    .option("--learning-rate <x>", "local learning rate", positive)
    .option(
      "--fine-tune <steps>",
      "local steps after the last round, on each facility's own copy",
      wholeNumber(0),
      0,
    )
    .addOption(
      new Option("--protection <name>", "how updates are protected").choices(PROTECTIONS).default("ckks"),
    )
    .option(
      "--privacy <off|epsilon>",
      "differential privacy: the most that each facility may spend, at delta 1e-5 (simulated: 8; others: off)",
    )
    .option(
      "--noise-multiplier <z>",
      "least noise: standard deviation / clip norm (default with --no-calibrate: 4)",
      positive,
    )
    .addOption(
      new Option(
        "--calibrate <true|false>",
        "whether noise is raised until all rounds fit the budget (default: true)",
      ).choices(["true", "false"]),
    )
    .option("--no-calibrate", "leave the noise as it is: each facility stops at its cap")
    .addOption(
      new Option(
        "--privacy-config <file>",
        "a privacy_config.yaml in the place of all that is said of noise and encryption",
      ).conflicts(["privacy", "protection", "noiseMultiplier", "calibrate"]),
    )
    .option("--in-process", "everybody in one process, up to 1,000 facilities: the same protocol, no network")
    .option(
      "--explain",
      "tell from the leader's log what was encrypted, added, certified and opened, and who saw what",
    )
    .option("--chaos", "kill leader, fog and facilities on the way, and compare with the study undisturbed")
    .option("--keep <dir>", "folder for the run (default: a new one under the system's temporary folder)")
    .addOption(format())
    .addHelpText("after", "\nExample:\n  consilium demo --study heart --data ./heart-uci --seed 42")
    .action(async (options) => (await import("./commands/demo.js")).demo(options))
  program
    .command("init")
    .description("lay out a study: study.yaml, the authority's folder, and a kit for each participant")
    .requiredOption("--out <dir>", "folder to make")
    .requiredOption("--authority <host:port>", "where the authority will listen")
    .requiredOption("--facilities <names>", "names, comma-separated")
    .option("--fogs <names>", "names, comma-separated; 0 for none: facilities talk to the leader", "fog-1")
    .option("--name <study>", "the study's name", "heart")
    .option("--rounds <n>", "rounds", wholeNumber(1), 15)
    .option("--privacy-config <file>", "a privacy_config.yaml: what the study says of noise and encryption")
    .addOption(format())
    .addHelpText(
      "after",
      "\nExample:\n  consilium init --out study --authority ca.example.org:8440 --facilities north,south,east,west",
    )
    .action(async (options) => (await import("./commands/init.js")).init(options))
  roleCommand(program, "authority", "the trusted authority: certificates, enrolment, the signed roster")
  roleCommand(program, "leader", "the leader: the study, the global model, the event log")
  roleCommand(program, "fog", "a fog node: adds or relays what its facilities send")
  roleCommand(program, "facility", "a facility: trains on its own records")
  modelCommands(program)
  studyCommands(program)
  statusCommands(program)
  approvalsCommands(program)
  membersCommands(program)
  keysCommands(program)
  auditCommands(program)
  privacyCommands(program)
  configCommands(program)
  dataCommands(program)
  inferCommands(program)
  doctorCommands(program)
  benchCommands(program)
  for (const command of everyCommand(program)) command.exitOverride()
  return program
}

const everyCommand = (command: Command): readonly Command[] => [
  command,
  ...command.commands.flatMap(everyCommand),
]

/** A reader that has seen enough, such as `head`, is no error. */
const readerGone = (error: NodeJS.ErrnoException): void => {
  if (error.code !== "EPIPE") throw error
  process.exit(0)
}

/** Runs one command line and gives its exit code. Errors go to standard error, with what to do about them. */
export const main = async (argv: readonly string[]): Promise<number> => {
  if (process.stdout.listenerCount("error") === 0) process.stdout.on("error", readerGone)
  try {
    await commandLine().parseAsync([...argv], { from: "user" })
    return 0
  } catch (error) {
    if (error instanceof EndWith) return error.exitCode
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (!(error instanceof ConsiliumError)) throw error
    process.stderr.write(`${error.toString()}\n`)
    return error.exitCode
  }
}

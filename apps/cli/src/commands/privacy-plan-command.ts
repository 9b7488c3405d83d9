import { type Command, InvalidArgumentError, Option } from "commander"
import { format } from "./printed.js"

const whole = (text: string): number => {
  if (!/^[1-9]\d{0,6}$/.test(text))
    throw new InvalidArgumentError("A whole number of 1 or more was expected.")
  return Number(text)
}
const above = (text: string): number => {
  const value = Number(text)
  if (!(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new InvalidArgumentError("A number above 0 was expected.")
  return value
}

const SWITCHES = [
  "epsilon",
  "delta",
  "rounds",
  "steps",
  "sampleRate",
  "noiseMultiplier",
  "facilities",
  "parameters",
] as const

/** `consilium privacy plan`. */
export const privacyPlanCommand = (privacy: Command): void => {
  const plan = privacy
    .command("plan")
    .description(
      "what a study would spend, before anything starts: noise, epsilon by round, rounds until the cap, alternatives",
    )
    .addOption(
      new Option("--file <study.yaml>", "the study; with --leader, among those who are present there"),
    )
    .addOption(
      new Option("--config <folder>", "or a study folder as init made it, with the policies in it").conflicts(
        ["file", "leader"],
      ),
    )
    .option(
      "--privacy-config <file>",
      "a privacy_config.yaml: with a study in the place of what that says, else with the numbers below",
    )
    .option("--leader <url>", "the leader's API; alone, its first study is meant")
    .option("--token-file <file>", "file with the API token, for its owner only; not needed on loopback")
    .option("--ca <file>", "PEM file of the certificate authority of an https leader")
    .option("--epsilon <e>", "most that each facility may spend (default: 1)", above)
    .option("--delta <d>", "probability that epsilon may fail (default: 1e-5)", above)
    .option("--rounds <n>", "rounds (default: 10)", whole)
    .option("--steps <n>", "local steps in each round (default: 20)", whole)
    .option("--sample-rate <q>", "share of patients that a step draws (default: 0.1)", above)
    .option("--noise-multiplier <z>", "least noise: standard deviation / clip norm", above)
    .option("--no-calibrate", "leave the noise as it is: facilities stop at epsilon")
    .option("--facilities <n>", "facilities, for noise on the sum (default: 4)", whole)
    .option("--parameters <n>", "parameters of the model (default: 14)", whole)
    .addOption(format())
    .addHelpText(
      "after",
      "\nExamples:\n  consilium privacy plan --epsilon 1 --rounds 10 --steps 20 --sample-rate 0.1\n" +
        "  consilium privacy plan --privacy-config privacy_config.yaml\n  consilium privacy plan --config study",
    )
  plan.action(async (options) => {
    const study = [options.file, options.config, options.leader].some((one) => one !== undefined)
    const given = SWITCHES.filter((name) => options[name] !== undefined)
    if (study && (given.length > 0 || !options.calibrate))
      plan.error("error: the numbers of a study stand in its file; change them with --privacy-config")
    const budget = given.filter((name) => ["epsilon", "delta", "noiseMultiplier"].includes(name))
    if (options.privacyConfig !== undefined && (budget.length > 0 || !options.calibrate))
      plan.error(
        "error: --privacy-config says what is spent and how much noise there is; leave the switches out",
      )
    const commands = await import("./privacy-plan.js")
    if (study) await commands.privacyPlanOfStudy(options)
    else await commands.privacyPlanOfSwitches(options)
  })
}

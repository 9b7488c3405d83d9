import { type Command, InvalidArgumentError, Option } from "commander"
import { inferDemoCommand } from "./infer-demo-command.js"
import { inferEvaluateCommand } from "./infer-evaluate-command.js"
import { examples, readingHeart } from "./infer-options.js"
import { inferPredictCommand } from "./infer-predict-command.js"
import { inferServeCommand } from "./infer-serve-command.js"
import { format } from "./printed.js"

const name = (text: string): string => {
  if (text.trim() === "" || text.length > 64)
    throw new InvalidArgumentError("A text of 1 to 64 characters was expected.")
  return text
}

const logitError = (text: string): number => {
  const value = Number(text)
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError("A number above 0 and below 1 was expected.")
  return value
}

const hash = (text: string): string => {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new InvalidArgumentError("64 hexadecimal digits were expected.")
  return text
}

const train = (infer: Command): void => {
  const command = infer
    .command("train")
    .description("train a heart model that answers encrypted patients, and report how well it does on others")
    .addOption(
      new Option("--model <kind>", "lr: logistic regression; nn: a network of 13-16-1 with squares")
        .choices(["lr", "nn"])
        .makeOptionMandatory(),
    )
  readingHeart(command, "rows to train on")
    .requiredOption("--out <dir>", "folder to write model.json and model.consilium into")
    .addOption(
      new Option(
        "--calibrate <kind>",
        "how probabilities are made true, on a quarter of the training patients",
      )
        .choices(["platt", "temperature", "isotonic", "none"])
        .default("platt"),
    )
    .option("--freely", "nn: write the network that was trained without the range penalty", false)
    .option("--name <text>", "the model's name", name, "heart-disease")
    .option("--model-version <text>", "its version", name, "1")
    .option("--force", "write over files that are there", false)
    .addOption(format())
    .addHelpText(
      "after",
      examples(
        "train --model lr --data ./heart-uci --out lr",
        "train --model nn --simulate 900 --seed 7 --out nn",
      ),
    )
    .action(async (options) => {
      if (options.freely && options.model !== "nn") command.error("error: --freely is for --model nn")
      await (await import("../infer/train.js")).inferTrain(options)
    })
}

const compile = (infer: Command): void => {
  infer
    .command("compile")
    .description(
      "choose parameters for a trained model, with a proof that they hold, and write what a server needs",
    )
    .requiredOption("--model <path>", "model.json, or the folder that infer train wrote")
    .requiredOption("--out <dir>", "folder to write the plan, the server's model and the proof into")
    .addOption(
      new Option(
        "--weights <mode>",
        "shared: answers tell them; kept: not to honest askers, who upload a key (lr)",
      )
        .choices(["shared", "kept"])
        .default("shared"),
    )
    .option("--largest-error <x>", "how far a logit may be off (default: lr 0.001, nn 0.01)", logitError)
    .addOption(
      new Option(
        "--packing <name>",
        "how patients lie in ciphertexts (default: what answers most of them at once; slots-by-feature: a network answers one patient from a smaller request, under keys of its asker)",
      ).choices(["lr-coefficients", "slots-by-patient", "slots-by-feature"]),
    )
    .addOption(format())
    .addHelpText(
      "after",
      examples(
        "compile --model lr --out compiled",
        "compile --model lr --weights kept --out kept",
        "compile --model nn --packing slots-by-feature --out one-by-one",
      ),
    )
    .action(async (options) => (await import("../infer/compile.js")).inferCompile(options))
}

const plan = (infer: Command): void => {
  infer
    .command("plan")
    .description(
      "a compiled model in plain words: what it asks, parameters, bytes, and what an answer tells of the model",
    )
    .requiredOption("--plan <dir>", "folder that infer compile wrote; its plan.bin suffices")
    .addOption(format())
    .addHelpText("after", examples("plan --plan compiled"))
    .action(async (options) => (await import("../infer/plan.js")).inferPlan(options))
}

const calibrate = (infer: Command): void => {
  const command = infer
    .command("calibrate")
    .description("fit a model's calibration again, on patients that it was not trained on")
    .requiredOption("--model <path>", "model.json, or the folder that infer train wrote; it is written over")
  readingHeart(command, "held-out rows; of a UCI file its published test side")
    .addOption(
      new Option("--kind <name>", "what is fitted")
        .choices(["platt", "temperature", "isotonic"])
        .default("platt"),
    )
    .option("--model-version <text>", "the model's new version (default: as it is)", name)
    .addOption(format())
    .addHelpText("after", examples("calibrate --model lr --data held-out.csv --kind isotonic"))
    .action(async (options) => (await import("../infer/calibrate.js")).inferCalibrate(options))
}

const keys = (infer: Command): void => {
  infer
    .command("keys")
    .description(
      "an asker's files for a plan: the context, and where the plan takes a key, that and its secret",
    )
    .option("--plan <dir>", "folder with the plan.bin of the model")
    .option("--server <url>", "a running server instead: its plan, its nonce, and the key is uploaded")
    .option("--model <name>", "--server: the model, where it offers several")
    .option("--token-file <file>", "--server: the token that its operator issued")
    .option("--ca <file>", "--server: PEM certificates of the authority that its certificate is from")
    .requiredOption("--out <dir>", "folder to write context.json, public.key and secret.key into")
    .option(
      "--nonce <hex>",
      "the server's nonce for the key (default: a fresh one, for servers that load public.key from a folder)",
      hash,
    )
    .addOption(format())
    .addHelpText(
      "after",
      examples(
        "keys --plan compiled --out keys",
        "keys --server https://leader.example:8443 --token-file token --out keys",
      ),
    )
    .action(async (options) => (await import("../infer/keys.js")).inferKeys(options))
}

/** `consilium infer ...`: one function for each command. */
export const inferCommands = (program: Command): void => {
  const infer = program
    .command("infer")
    .description("models that answer encrypted patients: train, compile, calibrate, serve, ask, evaluate")
  train(infer)
  compile(infer)
  plan(infer)
  calibrate(infer)
  keys(infer)
  inferServeCommand(infer)
  inferPredictCommand(infer)
  inferEvaluateCommand(infer)
  inferDemoCommand(infer)
}

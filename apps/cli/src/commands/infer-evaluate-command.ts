import { type Command, Option } from "commander"
import { examples, readingHeart, whole } from "./infer-options.js"
import { format } from "./printed.js"

/** `consilium infer evaluate`. */
export const inferEvaluateCommand = (infer: Command): void => {
  const command = infer
    .command("evaluate")
    .description(
      "plain against encrypted on the same patients, with a real server process: errors, agreement, figures, time, bytes and bars; ends with 6 if a bar does not hold",
    )
    .requiredOption(
      "--model <name>",
      "lr or nn: trained, compiled and served here; or the name of a model that is served",
    )
    .option("--n <patients>", "patients, each of whom is asked about by itself", whole(1, 100_000), 50)
  readingHeart(
    command,
    "rows: held-out ones of what lr or nn is trained on, or rows to ask a served model about",
  )
    .addOption(
      new Option(
        "--weights <mode>",
        "lr, compiled here: shared, or kept from honest askers (default: shared)",
      ).choices(["shared", "kept"]),
    )
    .addOption(
      new Option(
        "--packing <name>",
        "compiled here: as infer compile takes it; slots-by-feature is for networks under keys of their asker",
      ).choices(["lr-coefficients", "slots-by-patient", "slots-by-feature"]),
    )
    .option("--trained <path>", "a served model as it was trained: model.json, or its folder")
    .option("--server <url>", "a running server; without it one is started for this run")
    .option("--models <dir>", "compiled models to serve, or one")
    .option("--token-file <file>", "--server: the token that its operator issued")
    .option("--ca <file>", "--server: PEM certificates of the authority that its certificate is from")
    .option(
      "--answers <n>",
      "the budget that the server is started with (default: a kept model compiled here gets what this run needs)",
      whole(1, Number.MAX_SAFE_INTEGER),
    )
    .option(
      "--packets <file>",
      "write all that crossed between client and server, and the server's log; without TLS, over a relay",
    )
    .addOption(format())
    .addHelpText(
      "after",
      examples(
        "evaluate --model lr --n 50 --data ./heart-uci",
        "evaluate --model nn --simulate 900 --format json",
        "evaluate --model heart-disease --trained lr --models compiled --data held-out.csv",
      ),
    )
    .action(async (options) => (await import("../infer/evaluate.js")).inferEvaluate(options))
}

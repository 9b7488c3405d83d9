import type { Command } from "commander"
import { examples, repeated } from "./infer-options.js"
import { format } from "./printed.js"

/** `consilium infer predict`. */
export const inferPredictCommand = (infer: Command): void => {
  infer
    .command("predict")
    .description(
      "ask a model about an encrypted patient, or a table of them; without --server a server process is started",
    )
    .option("--model <name>", "the model, where the server offers several")
    .option("--server <url>", "a running server")
    .option("--models <dir>", "compiled models to serve for this asking, or one")
    .option("--patient <file>", "one patient: JSON of fields")
    .option("--set <field=value>", "one patient, a field each time (may be repeated)", repeated, [])
    .option("--csv <file>", "patients, a row each; other columns than the model's fields are not sent")
    .option("--to <file>", "--csv: where the predictions go (default: standard output)")
    .option("--token-file <file>", "--server: the token that its operator issued")
    .option("--ca <file>", "--server: PEM certificates of the authority that its certificate is from")
    .option("--keys <dir>", "--server: a key that it has already, as infer keys --server wrote it")
    .addOption(format())
    .addHelpText(
      "after",
      examples(
        "predict --models compiled --patient patient.json",
        "predict --server https://leader.example:8443 --token-file token --csv patients.csv --to risks.csv",
      ),
    )
    .action(async (options) => (await import("../infer/predict.js")).inferPredict(options))
}

import type { Command } from "commander"
import { examples, whole } from "./infer-options.js"
import { format } from "./printed.js"

/** `consilium infer demo`. */
export const inferDemoCommand = (infer: Command): void => {
  infer
    .command("demo")
    .description(
      "train two heart models, serve them in another process, ask them about encrypted patients, and show it beside the plain models",
    )
    .option("--data <path>", "the folder of the processed UCI heart files (default: made-up patients)")
    .option("--patients <n>", "patients who are asked about", whole(1, 1000), 30)
    .option("--seed <n>", "the same number trains the same models", whole(0, Number.MAX_SAFE_INTEGER), 1)
    .addOption(format())
    .addHelpText("after", examples("demo", "demo --data ./heart-uci --format json"))
    .action(async (options) => (await import("../infer/demo.js")).inferDemo(options))
}

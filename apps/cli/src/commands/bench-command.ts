import { type Command, InvalidArgumentError, Option } from "commander"

const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`A whole number in [${least}, ${most}] was expected.`)
    return value
  }

const PUBLISHED_SEEDS = [42, 43, 44, 45, 46]
const seeds = (text: string): number[] => text.split(",").map(wholeNumber(0, Number.MAX_SAFE_INTEGER))

/** `consilium bench`: the project against its peers, on the user's own machine. */
export const benchCommands = (program: Command): void => {
  const bench = program.command("bench").description("measure on this machine, beside the project's peers")
  bench
    .command("learning")
    .description("training beside TensorFlow.js and NumPy: same weights, data and batches")
    .option("--quick", "short runs: to see that it works, not how fast it is")
    .option("--python <program>", "the Python whose NumPy is measured (default: python3)")
    .addOption(
      new Option("--format <form>", "text, or one JSON value on stdout")
        .choices(["text", "json"])
        .default("text"),
    )
    .addHelpText("after", "\nExample:\n  consilium bench learning --format json")
    .action(async (options) => {
      await (await import("./bench-learning.js")).benchLearning(options)
    })
  bench
    .command("sums")
    .description("secure sums: time and bytes of every scheme, one thread, sums checked")
    .option("--values <n>", "values in each facility's vector", wholeNumber(1, 10_000_000), 1_000_000)
    .option("--facilities <n>", "facilities, two thirds of which and one open", wholeNumber(2, 64), 10)
    .addOption(
      new Option("--format <form>", "text, or one JSON value on stdout")
        .choices(["text", "json"])
        .default("text"),
    )
    .addHelpText("after", "\nExample:\n  consilium bench sums --values 1000000 --facilities 10 --format json")
    .action(async (options) => (await import("./bench.js")).benchSums(options))
  bench
    .command("fed-heart")
    .description("the published benchmark on the heart data: every strategy, beside the published figures")
    .requiredOption("--data <folder>", "folder of the four processed UCI files")
    .option("--seeds <list>", "seeds, such as 42,43; bars are about 42 to 46", seeds, PUBLISHED_SEEDS)
    .addOption(
      new Option("--format <form>", "text, or one JSON value on stdout")
        .choices(["text", "json"])
        .default("text"),
    )
    .addHelpText("after", "\nExample:\n  consilium bench fed-heart --data heart-uci")
    .action(async (options) => (await import("./bench-heart.js")).benchHeart(options))
  bench
    .command("privacy-utility")
    .description(
      "what privacy budgets leave of a model on the heart data: local noise against one noise on the sum",
    )
    .requiredOption("--data <folder>", "folder of the four processed UCI files")
    .option("--seeds <n>", "seeds 1 to n", wholeNumber(2, 1000), 20)
    .option("--plot <file.svg>", "draw the curves into this file")
    .addOption(
      new Option("--format <form>", "text, or one JSON value on stdout")
        .choices(["text", "json"])
        .default("text"),
    )
    .addHelpText("after", "\nExample:\n  consilium bench privacy-utility --data heart-uci --plot utility.svg")
    .action(async (options) => (await import("./bench-utility.js")).benchUtility(options))
  bench
    .command("scale")
    .description("whole federations in one process: how a round's work grows with the number of facilities")
    .option("--quick", "a few facilities: to see that it works, not how fast it is")
    .addOption(
      new Option("--format <form>", "text, or one JSON value on stdout")
        .choices(["text", "json"])
        .default("text"),
    )
    .addHelpText("after", "\nExample:\n  consilium bench scale --format json")
    .action(async (options) => (await import("./bench-scale.js")).benchScale(options))
  bench
    .command("inference")
    .description(
      "encrypted predictions: time of one patient, of 2,048, and requests a second over TLS, beside SEAL",
    )
    .option("--quick", "a few requests: to see that it works, not how fast it is")
    .addOption(
      new Option("--format <form>", "text, or one JSON value on stdout")
        .choices(["text", "json"])
        .default("text"),
    )
    .addHelpText("after", "\nExample:\n  consilium bench inference --format json")
    .action(async (options) => (await import("./bench-inference.js")).benchInference(options))
}

import { FACILITY_KINDS } from "@consilium/records/simulator/kinds"
import { type Command, InvalidArgumentError, Option } from "commander"
import { format } from "./printed.js"

const count =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d{1,16}$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`A whole number from ${least} to ${most} was expected.`)
    return value
  }

/** `consilium data profile` and `data simulate`. */
export const dataCommands = (program: Command): void => {
  const data = program
    .command("data")
    .description("a facility's records before a study: what they hold, and made-up ones")
  data
    .command("profile")
    .description(
      "what a file holds, in figures that tell nothing of few patients, so that they can be shown outside",
    )
    .addOption(
      new Option("--config <file>", "facility.yaml: the records that it names").conflicts([
        "file",
        "schema",
        "mapping",
      ]),
    )
    .option("--file <file>", "a table instead: comma-separated text with a header, or Parquet")
    .option("--schema <name>", "what the table holds: cardiovascular, or the path of a schema file")
    .option("--mapping <file>", "how the table says it: the path of a mapping file")
    .addOption(format())
    .addHelpText(
      "after",
      "\nExamples:\n  consilium data profile --config study/north/local/facility.yaml\n" +
        "  consilium data profile --file visits.parquet --schema cardiovascular --mapping mapping.yaml",
    )
    .action(async (options) => (await import("./data.js")).dataProfile(options))
  data
    .command("simulate")
    .description("write records of made-up patients, with a mapping file, to try everything out with")
    .addOption(new Option("--kind <name>", "who is seen there").choices(FACILITY_KINDS).default("hospital"))
    .option("--rows <n>", "rows", count(1, 1_000_000), 200)
    .option("--seed <n>", "the same number gives the same rows", count(0, Number.MAX_SAFE_INTEGER), 1)
    .requiredOption("--out <dir>", "folder to write into")
    .addOption(
      new Option("--coding <name>", "names, units and codes: the schema's, or those of an imagined site")
        .choices(["site", "canonical"])
        .default("site"),
    )
    .addOption(format())
    .addHelpText(
      "after",
      "\nExample:\n  consilium data simulate --kind clinic --rows 300 --seed 7 --out trial",
    )
    .action(async (options) => (await import("./data-simulate.js")).dataSimulate(options))
}

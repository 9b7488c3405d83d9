import { mkdir, readdir, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import { mappingFileText } from "@consilium/node/config/table-files"
import { storeError } from "@consilium/node/store/files"
import type { FacilityKind } from "@consilium/records/simulator/kinds"
import { simulatedFile } from "@consilium/records/simulator/site-file"
import { type Format, print } from "./printed.js"

interface SimulateArguments {
  readonly kind: FacilityKind
  readonly rows: number
  readonly seed: number
  readonly out: string
  readonly coding: "site" | "canonical"
  readonly format: Format
}

const FILES = ["records.csv", "mapping.yaml", "README.md"] as const

const readme = ({ kind, rows, seed, coding }: SimulateArguments): string =>
  `# Made-up records

Every row of records.csv is synthetic: \`consilium data simulate\` made it, and it describes no patient. Nothing clinical may be
concluded from it. kind ${kind}, ${rows} rows, seed ${seed}, coding ${coding}; mapping.yaml says how the file is to be read.
`

/** @throws {ConsiliumError} "config/exists" if a file is in the way; "store/..." if the folder cannot be used */
const freeFolder = async (out: string): Promise<string> => {
  const folder = resolve(out)
  let present: readonly string[]
  try {
    await mkdir(folder, { recursive: true })
    present = await readdir(folder)
  } catch (error) {
    throw storeError(error, `make the folder ${folder}`)
  }
  const inTheWay = FILES.filter((name) => present.includes(name))
  if (inTheWay.length > 0)
    throw new ConsiliumError("config/exists", `${folder} already holds ${inTheWay.join(", ")}.`, {
      remedy: "Choose another folder, or delete those files first.",
    })
  return folder
}

/** Writes records of made-up patients, the mapping that reads them, and a page that says what they are. */
export const dataSimulate = async (options: SimulateArguments): Promise<void> => {
  const { kind, rows, seed, coding } = options
  const folder = await freeFolder(options.out)
  const random = insecureSeededRandom(seed, "simulated-records", kind)
  const { csv, mapping } = simulatedFile({ kind, rows, random, coding })
  const contents = [csv, mappingFileText(mapping), readme(options)]
  for (const [i, name] of FILES.entries())
    try {
      await writeFile(join(folder, name), contents[i] as string | Uint8Array, { flag: "wx", mode: 0o600 })
    } catch (error) {
      throw storeError(error, `write ${join(folder, name)}`)
    }
  print(options.format, { kind, rows, seed, coding, folder, files: FILES }, [
    `${rows} rows of made-up patients are in ${join(folder, FILES[0])}. They are synthetic and describe nobody.`,
    "What they hold:",
    `  consilium data profile --file ${join(folder, FILES[0])} --schema cardiovascular --mapping ${join(folder, FILES[1])}`,
    "A facility trains on them with these lines in facility.yaml:",
    "  records:",
    "    format: table",
    "    schema: cardiovascular",
    `    file: ${JSON.stringify(join(folder, FILES[0]))}`,
    `    mapping: ${JSON.stringify(join(folder, FILES[1]))}`,
  ])
}

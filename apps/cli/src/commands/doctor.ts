import { stat } from "node:fs/promises"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { type Examined, examine, exitCodeOf, type Verdict } from "@consilium/node/doctor/finding"
import { isThere, machineChecks } from "@consilium/node/doctor/machine-checks"
import { roleChecks } from "@consilium/node/doctor/role-checks"
import { RoleUnderTest } from "@consilium/node/doctor/role-under-test"
import { EndWith, type Format, print } from "./printed.js"

const ROOT = resolve(fileURLToPath(new URL("../../../..", import.meta.url)))

/** This clone; null where the program is installed without its sources. */
const clone = async (): Promise<string | null> =>
  (await isThere(join(ROOT, "apps/cli/src/main.ts"))) && (await isThere(join(ROOT, "scripts/build.mjs")))
    ? ROOT
    : null

const WORDS: Readonly<Record<Verdict, string>> = {
  passed: "passed",
  note: "note",
  problem: "PROBLEM",
  "not-checked": "not checked",
}

const lines = ({ id, verdict, says, remedy, code }: Examined): readonly string[] => [
  `${WORDS[verdict].padEnd(12)}${id}: ${says}${code === null ? "" : ` (${code})`}`,
  ...(remedy === null ? [] : [`${" ".repeat(12)}remedy: ${remedy}`]),
]

/** Checks the machine, and the role of a configuration file if one is given. */
export const doctor = async (options: {
  readonly config?: string
  readonly format: Format
}): Promise<void> => {
  const built = (await stat(fileURLToPath(import.meta.url))).mtimeMs
  const tell = (examined: Examined): void => {
    if (options.format === "text") print("text", null, lines(examined))
  }
  const machine = await examine(machineChecks({ clone: await clone(), built }), tell)
  const under = options.config === undefined ? null : new RoleUnderTest(options.config)
  try {
    const role = under === null ? [] : await examine(await roleChecks(under), tell)
    const checks = [...machine, ...role]
    const problems = checks.filter(({ verdict }) => verdict === "problem").length
    const count = `${checks.length} checks, ${problems === 1 ? "1 problem" : `${problems} problems`}.`
    print(options.format, { healthy: problems === 0, checks }, [count])
    if (problems > 0) throw new EndWith(exitCodeOf(checks))
  } finally {
    await under?.close()
  }
}

import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { buildProgram } from "../security/study-run.js"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const EXAMPLES = join(ROOT, "examples")

/** What a line of each example's output must say. */
const SHOWN: Readonly<Record<string, string>> = {
  "chest-xray": "by themselves",
  combined: "digit for digit: yes",
  "differential-privacy": "the next one: refused",
  "encrypted-inference": "as near as was proven: yes",
  "heart-disease": ": the same",
  "homomorphic-encryption": "1,000 of 1,000 numbers are exact",
  "inference-client": "the same probabilities",
}

describe.each(readdirSync(EXAMPLES))("the example %s", (name) => {
  it("runs to its end, and its page names the command", async () => {
    await buildProgram()
    const output = execFileSync(process.execPath, [join(EXAMPLES, name, "main.mjs")], { encoding: "utf8" })
    expect(output).toContain(SHOWN[name])
    expect(readFileSync(join(EXAMPLES, name, "README.md"), "utf8")).toContain(`npm run example -- ${name}`)
  }, 120_000)
})

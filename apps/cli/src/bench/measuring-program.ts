import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { ConsiliumError } from "@consilium/base/errors"

const ROOT = new URL("../../../../", import.meta.url)

/** The path of a program that measures, which stands beside what it measures and is no part of an installed program. */
export const programAt = (path: string): string => {
  const found = fileURLToPath(new URL(path, ROOT))
  if (!existsSync(found))
    throw new ConsiliumError("cli/not-available", "The benchmarks are part of the source tree only.", {
      remedy: "Clone the repository and run the command there.",
    })
  return found
}

/**
 * Runs a program in a process of its own with one JSON value as its input.
 * @param heard told each line of its standard error
 * @returns the JSON value of its output
 * @throws {ConsiliumError} "cli/bench-failed" with its last words
 */
export const measuredBy = (
  path: string,
  input: unknown,
  heard: (line: string) => void = () => undefined,
): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [programAt(path)], { stdio: ["pipe", "pipe", "pipe"] })
    let out = ""
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString("utf8")
    })
    child.stderr.on("data", (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-1000)
      for (const line of chunk.toString("utf8").split("\n")) if (line !== "") heard(line)
    })
    child.stdin.on("error", () => undefined)
    child.once("error", reject)
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(out))
      else reject(new ConsiliumError("cli/bench-failed", `${path} ended with ${code ?? "a signal"}: ${said}`))
    })
    child.stdin.end(JSON.stringify(input))
  })

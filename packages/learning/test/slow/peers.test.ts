import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"

const BENCH = fileURLToPath(new URL("../../../../bench/", import.meta.url))

/** The answers of a measuring program to some questions, the greeting first. */
const talk = (
  command: string,
  args: readonly string[],
  questions: readonly object[],
): Record<string, unknown>[] =>
  execFileSync(command, [...args], {
    encoding: "utf8",
    input: `${questions.map((question) => JSON.stringify(question)).join("\n")}\n`,
  })
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>)

const hasNumpy = ((): boolean => {
  try {
    execFileSync("python3", ["-c", "import numpy"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

const compare = (peer: readonly [string, ...string[]], workloads: readonly string[]): void => {
  const folder = mkdtempSync(join(tmpdir(), "consilium-peers-"))
  const load = (names: readonly string[]) => names.map((name) => ({ op: "load", folder, name }))
  try {
    const kinds = workloads.map((name) => name.split("-")[0] as string)
    const own = [join(BENCH, "learning/own.mjs")]
    const [, , ...expected] = talk(process.execPath, own, [{ op: "write", folder }, ...load(kinds)])
    const [command, ...args] = peer
    const run = { op: "run", name: workloads[0], seconds: 0.01 }
    const [greeting, ...found] = talk(command, args, [...load(workloads), run])
    expect(greeting).toHaveProperty("peer")
    const rates = found.pop() as { rate: number; cpuRate: number }
    expect(rates.rate).toBeGreaterThan(0)
    expect(rates.cpuRate).toBeGreaterThan(0)
    found.forEach((answer, i) => {
      const theirs = answer.losses as number[]
      const ours = (expected[i] as { losses: number[] }).losses
      expect(theirs.length).toBe(20)
      for (const [step, loss] of theirs.entries())
        expect(Math.abs(loss - (ours[step] as number))).toBeLessThan(1e-4)
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

it.each(["cpu", "wasm"])("TensorFlow.js %s takes the engine's steps, as it trains and by hand", (backend) => {
  compare(
    [process.execPath, join(BENCH, "peers/tfjs.mjs"), backend],
    ["lr", "mlp", "lr-by-hand", "mlp-by-hand"],
  )
})

it.skipIf(!hasNumpy)(
  `NumPy takes the engine's steps, of the convolutional network too${hasNumpy ? "" : " (skipped: python3 has no numpy)"}`,
  () => {
    compare(["python3", join(BENCH, "peers/numpy-peer.py")], ["lr", "mlp", "cnn"])
  },
)

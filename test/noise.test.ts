import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { FRACTIONS, noiseProblems } from "./noise-rules.js"
import { ROOT, sourcesOf } from "./source-tree.js"

const RULED = ["packages/privacy", "packages/learning", "packages/federation"]
const TRAINER = "packages/federation/src/private-training.ts"
const ROUNDING = "packages/federation/src/quantise.ts"

describe("[S25] floating-point noise", () => {
  it.each(RULED)("is in no file of %s", (folder) => {
    const problems = sourcesOf(folder).flatMap((path) =>
      noiseProblems(path, readFileSync(join(ROOT, path), "utf8")),
    )
    expect(problems).toEqual([])
  })

  it("is looked for in every file that may draw fractions for something else, and they are there", () => {
    for (const path of FRACTIONS.keys()) {
      expect(existsSync(join(ROOT, path)), path).toBe(true)
      expect(RULED.some((folder) => path.startsWith(`${folder}/src/`))).toBe(true)
      expect(readFileSync(join(ROOT, path), "utf8")).toContain("uniformUnit")
    }
  })

  it.each([
    [
      "Box-Muller from fractions",
      `import { uniformUnit } from "@consilium/base/random"
       const noise = (r) => Math.sqrt(-2 * log(uniformUnit(r))) * cos(2 * Math.PI * uniformUnit(r))`,
      "draws a random fraction with uniformUnit",
    ],
    [
      "a fraction under another name",
      'import { uniformUnit as next } from "@consilium/base/random"',
      "draws a random fraction with uniformUnit",
    ],
    [
      "Irwin-Hall from fractions of its own",
      "const noise = (r) => [1, 2, 3].reduce((sum) => sum + uniformBelow(r, 4096) / 4096, -1.5)",
      "makes a fraction of random bits",
    ],
    ["bits over a power of two", "const u = bits.take(24) / 2 ** 24", "makes a fraction of random bits"],
    ["bits times a small number", "const u = 2 ** -53 * uniform53(r)", "makes a fraction of random bits"],
    [
      "a draw that is cast first",
      "const u = Number(bits.take(24)) * 5.96e-8",
      "makes a fraction of random bits",
    ],
    [
      "bytes read as doubles",
      "const u = new DataView(random.bytes(8).buffer).getFloat64(0)",
      "reads random bits as a double",
    ],
    [
      "bytes under an array of doubles",
      "const u = new Float64Array(random.bytes(8).buffer)",
      "reads random bits as a double",
    ],
    [
      "the simulator's normal numbers",
      'import { drawNormal } from "@consilium/records/simulator/normal"',
      "imports @consilium/records/simulator/normal",
    ],
    ["a sampler by its name", "const noise = boxMuller(a, b)", "names boxMuller"],
    ["a sampler of its own", "const gaussianNoise = (sigma) => sigma", "names gaussianNoise"],
    ["a sampler as a method", "const noise = source.sampleLaplace(2)", "names sampleLaplace"],
    ["randn", "weights.map((w) => w + randn())", "names randn"],
  ])("is caught as %s", (_, text, problem) => {
    for (const path of [TRAINER, "packages/privacy/src/dp-optimizer.ts", "packages/learning/src/train.ts"])
      expect(noiseProblems(path, text).join("\n")).toContain(`${path}: ${problem}`)
  })

  it("is caught in a file that may draw fractions, once they are bent into another distribution", () => {
    const drawn = 'import { uniformUnit } from "@consilium/base/random"\n'
    expect(noiseProblems(ROUNDING, `${drawn}const up = (r, x) => uniformUnit(r) < x`)).toEqual([])
    for (const bent of ["log(uniformUnit(r))", "normalQuantile(u)", "M.cos(uniformUnit(r))"])
      expect(noiseProblems(ROUNDING, `${drawn}const noise = (r, u) => ${bent}`).join()).toContain(
        "bends a random fraction",
      )
  })

  it.each([
    ["exact samplers", "const noisy = new FastDiscreteGaussian(variance, random).samples(n)"],
    ["events and accountants of noise", "const event = gaussianEvent(z); const cost = laplaceEvent(2)"],
    ["whole numbers", "const row = uniformBelow(random, rows); const half = Math.floor(rows / 2)"],
    ["logarithms of what is not random", "const entropy = log(share) / Math.LN2"],
  ])("is not suspected in %s", (_, text) => {
    expect(noiseProblems(TRAINER, text)).toEqual([])
  })

  it("is no matter of packages that train on nobody", () => {
    const text = "const u = uniformBelow(r, 8) / 8"
    expect(noiseProblems("packages/records/src/simulator/normal.ts", text)).toEqual([])
  })
})

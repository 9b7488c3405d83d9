import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HEART_FEATURES } from "@consilium/records/heart-schema"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type EffectiveConfig, effectiveConfig } from "../src/config/effective.js"
import { EXAMPLE_CONFIG } from "./privacy-config-example.js"

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-effective-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const written = async (name: string, text: string): Promise<string> => {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}
const found = ({ values }: EffectiveConfig, key: string): string => {
  const one = values.find((value) => value.key === key)
  return one === undefined ? "absent" : `${JSON.stringify(one.value)} (${one.source})`
}

const STUDY = `
name: heart
nonce: "${"07".repeat(32)}"
model:
  kind: logistic-regression
  features: [${HEART_FEATURES.map(({ name }) => name).join(", ")}]
training: { learning_rate: 0.1 }
server: {}
rounds: 5
quantisation: { weights: equal }
data: null
privacy:
  epsilon: 2
participants:
  - { name: leader, role: leader }
  - { name: fog, role: fog, parent: leader }
${["a", "b", "c", "d"].map((name) => `  - { name: ${name}, role: facility, parent: fog }`).join("\n")}
`

describe("a configuration as it takes effect", () => {
  it("names where each value of a study comes from", async () => {
    const shown = await effectiveConfig(await written("study.yaml", STUDY))
    expect(shown.kind).toBe("study")
    const of = (key: string): string => found(shown, key)
    expect(of("training.learning_rate")).toBe("0.1 (file)")
    expect(of("training.steps")).toBe("100 (default)")
    expect(of("privacy.epsilon")).toBe("2 (file)")
    expect(of("privacy.delta")).toBe("0.00001 (default)")
    expect(of("privacy.noise_in_use")).toMatch(/^\d+\.\d+ \(derived\)$/)
    expect(of("privacy.noise_multiplier")).toBe("null (default)")
    expect(of("quantisation.largest_weight")).toBe("1 (derived)")
    expect(of("cohort.threshold")).toBe("3 (derived)")
    expect(of("keys.openings")).toBe("500 (derived)")
    expect(of("ring.degree")).toBe("4096 (derived)")
    expect(of("participants[0].parent")).toBe("null (default)")
    expect(of("participants[1].parent")).toBe('"leader" (file)')
  })

  it("names what a privacy configuration put in its place", async () => {
    const privacyConfig = await written("given.yaml", EXAMPLE_CONFIG)
    const shown = await effectiveConfig(await written("study.yaml", STUDY), { privacyConfig })
    const of = (key: string): string => found(shown, key)
    expect(of("privacy.epsilon")).toBe("1 (privacy_config)")
    expect(of("privacy.noise_multiplier")).toBe("1.1 (privacy_config)")
    expect(of("protection")).toBe('"ckks" (privacy_config)')
    expect(of("ring.degree")).toBe("4096 (privacy_config)")
    expect(of("training.learning_rate")).toBe("0.1 (file)")
  })

  it("reads the other files by their names, by what is in them, or as it is told", async () => {
    const facility =
      "records: { format: heart-csv, file: heart.csv }\npolicy: { privacy: { study: { epsilon: 3 } } }\n"
    const named = await effectiveConfig(await written("facility.yaml", facility))
    expect(found(named, "policy.privacy.study.epsilon")).toBe("3 (file)")
    expect(found(named, "policy.privacy.study.delta")).toBe("0.00001 (default)")
    expect((await effectiveConfig(await written("other.yaml", facility))).kind).toBe("facility")
    const config = await effectiveConfig(await written("mine.yaml", EXAMPLE_CONFIG))
    expect(config.kind).toBe("privacy_config")
    expect(found(config, "calibrate")).toBe("true (default)")
    expect(found(config, "study.protection")).toBe('"ckks" (derived)')
    const unknown = await written("unknown.yaml", "a: 1\n")
    await expect(effectiveConfig(unknown)).rejects.toThrow("Nothing tells what")
    await expect(effectiveConfig(unknown, { as: "fog" })).rejects.toThrow("Unrecognized key")
  })

  it("shows no secret: neither hashes of tokens nor the address of a database", async () => {
    const leader = await written(
      "leader.yaml",
      `api: { health: null, tokens: [{ name: owner, role: owner, sha256: "${"ab".repeat(32)}", expires: null }] }\n`,
    )
    const environment = { DATABASE_URL: "postgres://someone:canary@example.org/db" }
    const shown = await effectiveConfig(leader, { environment })
    expect(found(shown, "api.tokens[0].name")).toBe('"owner" (file)')
    expect(found(shown, "store")).toBe('"the PostgreSQL of DATABASE_URL" (environment)')
    const text = JSON.stringify(shown)
    expect(text).not.toContain("abab")
    expect(text).not.toContain("canary")
  })
})

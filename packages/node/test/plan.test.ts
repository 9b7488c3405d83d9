import { mkdir, readdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { planStudy } from "@consilium/federation/plan-study"
import { DEFAULT_POLICY } from "@consilium/federation/policy"
import { PROTECTIONS, type Protection } from "@consilium/federation/study"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { stringify } from "yaml"
import { directoryOf, type StudyChanges, testStudy } from "../../federation/test/members.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { presetAnswer, presetSchema } from "../src/api/preset-schemas.js"
import { facilityFileText } from "../src/config/role-files.js"
import type { StudyFile } from "../src/config/study-file.js"
import { presetToPlan, studyFileToPlan, studyFolderToPlan } from "../src/plan/planned-study.js"
import { deadlineWarnings, estimateTime } from "../src/plan/time-estimate.js"
import { temporaryFolder } from "./store-children.js"

const PARTICIPANTS: StudyFile["participants"] = [
  { name: "leader", role: "leader", parent: null },
  { name: "fog", role: "fog", parent: "leader" },
  ...["north", "south", "east", "west"].map((name) => ({ name, role: "facility" as const, parent: "fog" })),
]
const FILE = {
  name: "to be planned",
  model: { kind: "logistic-regression", features: ["a", "b", "c"] },
  training: { steps: 20 },
  server: {},
  rounds: 5,
}

let folder = ""
let remove: () => Promise<void> = async () => undefined
beforeAll(async () => {
  const made = await temporaryFolder("plan")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

const written = async (name: string, content: object): Promise<string> => {
  const path = join(folder, name)
  await writeFile(path, stringify(content))
  return path
}

describe("a study that is planned from its file", () => {
  it("is the one that would be started, among those it names", async () => {
    const path = await written("study.yaml", { ...FILE, participants: PARTICIPANTS })
    const { setting, facilities, noise } = await studyFileToPlan(path)
    expect(setting.study).toMatchObject({ name: "to be planned", rounds: 5, protection: "ckks" })
    expect(setting.directory.facilities.map(({ name }) => name).sort()).toEqual([
      "east",
      "north",
      "south",
      "west",
    ])
    expect(facilities.map(({ policyFrom }) => policyFrom)).toEqual([null, null, null, null])
    expect(noise).toBeNull()
  })

  it("is among those who are present where it names nobody", async () => {
    const path = await written("nobody.yaml", FILE)
    await expect(studyFileToPlan(path)).rejects.toMatchObject({
      code: "config/invalid",
      remedy: expect.stringContaining("--leader"),
    })
    const { setting } = await studyFileToPlan(path, PARTICIPANTS)
    expect(setting.directory.fogs.map(({ name }) => name)).toEqual(["fog"])
  })

  it.each([
    ["a key that nobody knows", { round: 3 }, "config/invalid"],
    [
      "a cohort that one facility could read",
      { cohort: { smallest: 2, threshold: 3, colluders: 0 } },
      "round/bad-study",
    ],
    ["noise without constants to standardise with", { privacy: { epsilon: 1 } }, "config/invalid"],
  ])("is refused as a start would refuse it: %s", async (_what, changes, code) => {
    const path = await written("wrong.yaml", { ...FILE, participants: PARTICIPANTS, ...changes })
    await expect(studyFileToPlan(path)).rejects.toMatchObject({ code })
  })

  it("says which noise won: the floor, or what the budget needs", async () => {
    const noiseOf = async (privacy: object) => {
      const path = await written("private.yaml", {
        ...FILE,
        participants: PARTICIPANTS,
        quantisation: { weights: "equal" },
        privacy: {
          standardise: ["a", "b", "c"].map((feature) => ({ feature, mean: 0, deviation: 1 })),
          ...privacy,
        },
      })
      const { setting, noise } = await studyFileToPlan(path)
      return { noise, used: setting.study.privacy?.noiseMultiplier as number }
    }
    const needed = await noiseOf({ epsilon: 1 })
    expect(needed.noise).toEqual({ from: "calibrated", floor: null, calibrated: needed.used })
    const low = await noiseOf({ epsilon: 1, noise_multiplier: needed.used / 2 })
    expect(low.noise).toEqual({ from: "calibrated", floor: needed.used / 2, calibrated: needed.used })
    const high = await noiseOf({ epsilon: 1, noise_multiplier: 2 * needed.used })
    expect(high).toEqual({
      noise: { from: "floor", floor: 2 * needed.used, calibrated: needed.used },
      used: 2 * needed.used,
    })
    const given = await noiseOf({ epsilon: 1, noise_multiplier: 2 * needed.used, calibrate: false })
    expect(given.noise).toEqual({ from: "given", floor: 2 * needed.used, calibrated: null })
  })
})

describe("a study folder that is planned", () => {
  it("brings the policies of the facilities whose files are in it, and stays as it was", async () => {
    const study = join(folder, "study")
    const local = join(study, "north", "local")
    await mkdir(local, { recursive: true })
    await writeFile(join(study, "study.yaml"), stringify({ ...FILE, participants: PARTICIPANTS }))
    await writeFile(
      join(local, "facility.yaml"),
      facilityFileText({ records: { format: "heart-csv", file: "x.csv" }, policy: { smallest_cohort: 4 } }),
    )
    const before = await readdir(study, { recursive: true })
    const { setting, facilities, noise } = await studyFolderToPlan(study)
    expect(
      facilities.map(({ name, policyFrom, policy }) => [name, policyFrom !== null, policy.smallestCohort]),
    ).toEqual([
      ["north", true, 4],
      ["south", false, 3],
      ["east", false, 3],
      ["west", false, 3],
    ])
    const { warnings, problems } = planStudy(setting, facilities, noise)
    expect(problems).toEqual([])
    expect(warnings).toContain(
      "north would take no part: The study opens sums over 3 facilities; this facility's policy wants at least 4.",
    )
    expect(warnings).toContain("The policies of 3 facilities are not known here; the default one is assumed.")
    expect(await readdir(study, { recursive: true })).toEqual(before)
    await writeFile(join(local, "facility.yaml"), "policy: {colluder: 1}\n")
    await expect(studyFolderToPlan(study)).rejects.toMatchObject({ code: "config/invalid" })
    await expect(studyFolderToPlan(folder)).resolves.toBeDefined()
    await expect(studyFolderToPlan(join(folder, "none"))).rejects.toMatchObject({ code: "config/unreadable" })
    const file = join(study, "study.yaml")
    await expect(studyFolderToPlan(file)).rejects.toThrow(`${file} is a file, not a study's folder.`)
  })
})

describe("a leader's preset that is planned", () => {
  const study = testStudy(4, { ...withPrivacy(), insecureSeed: null })

  it("is the study that would be started, and where its noise comes from", () => {
    const preset = presetSchema.parse(JSON.parse(JSON.stringify(presetAnswer(study, PARTICIPANTS))))
    const planned = presetToPlan(preset)
    expect(planned.setting.study).toEqual(study)
    expect(planned.noise).toEqual({
      from: "calibrated",
      floor: null,
      calibrated: study.privacy?.noiseMultiplier,
    })
    expect(planned.facilities.every(({ policy }) => policy === DEFAULT_POLICY)).toBe(true)
  })

  it("is refused if this version cannot read it", () => {
    const preset = presetAnswer(study, PARTICIPANTS)
    expect(() => presetToPlan({ ...preset, study: preset.study.slice(0, 40) })).toThrow(
      /cannot be read by this version/,
    )
  })
})

describe("the time of a study", () => {
  const settingOf = (changes: StudyChanges, facilities = 4, fogs = 1) => {
    const study = testStudy(facilities, { insecureSeed: null, ...changes })
    return { study, directory: directoryOf(study, facilities, fogs) }
  }

  it.each([...PROTECTIONS])("is measured under %s", async (protection: Protection) => {
    const setting = settingOf({ protection, rounds: 10 })
    const time = await estimateTime(setting, protection === "ckks" || protection === "bfv" ? 2 : 0)
    if (time === null) throw new Error("The rehearsal did not come to its end.")
    expect(time.measuredFacilities).toBe(4)
    expect(time.round.apart).toBeGreaterThan(0)
    expect(time.round.together).toBeGreaterThanOrEqual(time.round.apart)
    expect(time.ceremony === null).toBe(protection !== "ckks" && protection !== "bfv")
    const { round, ceremony, study } = time
    expect(study.apart).toBeCloseTo(10 * round.apart + 2 * (ceremony?.apart ?? 0), 9)
    expect(study.together).toBeCloseTo(10 * round.together + 2 * (ceremony?.together ?? 0), 9)
  })

  it("is measured with privacy, without fogs, and scaled up from a few facilities", async () => {
    const noisy = await estimateTime(settingOf(withPrivacy(), 4, 0), 0)
    expect(noisy?.training).toBeGreaterThan(0)
    const many = await estimateTime(settingOf({ protection: "shamir" }, 12, 2), 0)
    expect(many?.measuredFacilities).toBe(6)
    expect(many?.machine).toContain(process.versions.node)
  })

  it("is compared with the deadlines", async () => {
    const setting = settingOf({ training: { steps: 400 } })
    const time = await estimateTime(setting, 0)
    expect(deadlineWarnings(setting.study, time)).toEqual([])
    expect(deadlineWarnings(setting.study, null)).toEqual([])
    const hasty = { deadlines: { collect: 1, answer: 1 } }
    expect(deadlineWarnings(hasty, time)).toEqual([expect.stringContaining("Raise deadlines.collect.")])
  })
})

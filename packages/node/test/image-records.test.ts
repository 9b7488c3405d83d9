import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { crc32, deflateSync } from "node:zlib"
import { ConsiliumError } from "@consilium/base/errors"
import { parameterCount, type Study } from "@consilium/federation/study"
import type { StudyNetwork } from "@consilium/federation/study-model"
import { encodeIdx } from "@consilium/records/images/idx"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type FacilityFileInput, facilityFileSchema } from "../src/config/role-files.js"
import { studyFileSchema, studyOf } from "../src/config/study-file.js"
import { type StudyModelFile, studyModelOf, studyModelSchema } from "../src/config/study-model.js"
import { parseConfig } from "../src/config/yaml-file.js"
import { profileFacility } from "../src/data-profile.js"
import { prepare, type RawRecords, readRecords } from "../src/local-records.js"

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-images-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const SIDE = 4
const COUNT = 30
const pixels = (count: number, from = 0): Uint8Array =>
  Uint8Array.from({ length: count * SIDE * SIDE }, (_, i) => (i * 37 + from) % 256)
const labels = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => i % 2)

const writeIdx = async (name: string, count: number, from = 0, side = SIDE): Promise<void> => {
  const values = pixels(count, from).slice(0, count * side * side)
  await writeFile(join(folder, `${name}-images`), encodeIdx({ shape: [count, side, side], values }))
  await writeFile(join(folder, `${name}-labels`), encodeIdx({ shape: [count], values: labels(count) }))
}

const read = (records: FacilityFileInput["records"]): Promise<RawRecords> =>
  readRecords("north", join(folder, "facility.yaml"), facilityFileSchema.parse({ records }))
const idx = (changes: object = {}): FacilityFileInput["records"] => ({
  format: "idx",
  images: "own-images",
  labels: "own-labels",
  classes: ["clear", "ill"],
  ...changes,
})

const MODEL: StudyNetwork = {
  kind: "network",
  features: [],
  description: {
    input: [SIDE, SIDE, 1],
    layers: [{ kind: "flatten" }, { kind: "dense", outputs: 1 }],
    loss: "sigmoid-cross-entropy",
  },
  images: { classes: ["clear", "ill"], means: [0.5], deviations: [0.25] },
}
const study = (model: Study["model"] = MODEL, privacy: Study["privacy"] = null) => ({
  model,
  privacy,
  data: null,
})
const codeOf = (work: () => unknown): string | null => {
  try {
    work()
    return null
  } catch (error) {
    return error instanceof ConsiliumError ? error.code : String(error)
  }
}

describe("a facility's images", () => {
  beforeAll(async () => {
    await writeIdx("own", COUNT)
    await writeIdx("held", 7, 11)
    await writeIdx("small", 7, 0, 2)
  })

  it("are split by patient, and scaled by what the study declares and nothing else", async () => {
    const raw = await read(idx())
    expect([raw.train.rows + raw.holdOut.rows, raw.preparation]).toEqual([COUNT, "declared"])
    expect(raw.images).toEqual({ height: SIDE, width: SIDE, channels: 1, classes: ["clear", "ill"] })
    const prepared = prepare(raw, study())
    expect([prepared.featureNames, prepared.preparation, prepared.patients.length]).toEqual([
      [],
      "declared",
      raw.train.rows,
    ])
    expect(Array.from(prepared.train.features)).toEqual(
      Array.from(raw.train.features, (value) => Math.fround((value - 0.5) / 0.25)),
    )
    // the same pixels whoever else is there
    const one = prepare({ ...raw, train: { ...raw.train, rows: 1 } }, study())
    expect(one.train.features[0]).toBe(prepared.train.features[0])
  })

  it("held out apart stay apart, also with differential privacy", async () => {
    const raw = await read(idx({ hold_out: { images: "held-images", labels: "held-labels" } }))
    expect([raw.train.rows, raw.holdOut.rows]).toEqual([COUNT, 7])
    expect(raw.independent).toEqual({ train: raw.train, holdOut: raw.holdOut })
  })

  it("with differential privacy are on a side that nobody else decides", async () => {
    const { independent } = await read(idx())
    await writeIdx("fewer", COUNT - 1)
    const fewer = await read(idx({ images: "fewer-images", labels: "fewer-labels" }))
    const side = (raw: RawRecords["independent"]): number =>
      raw.train.rows > 0 ? raw.train.patients.filter((patient) => patient < COUNT - 1).length : 0
    expect(side(independent)).toBe(side(fewer.independent))
  })

  it.each([
    ["of another size", { ...MODEL, description: { ...MODEL.description, input: [5, 4, 1] } }],
    [
      "of other classes",
      { ...MODEL, images: { ...MODEL.images, classes: ["ill", "clear"] } as StudyNetwork["images"] },
    ],
    ["for a study on a table", { kind: "logistic-regression", features: ["age"] }],
  ] as const)("are refused %s", async (_, model) => {
    const raw = await read(idx())
    expect(codeOf(() => prepare(raw, study(model as Study["model"])))).toBe("config/invalid")
  })

  it("that cannot be read, or fit nothing, are refused in words that name no pixel", async () => {
    await expect(read(idx({ images: "nowhere" }))).rejects.toMatchObject({ code: "records/unreadable" })
    await expect(read(idx({ labels: "held-labels" }))).rejects.toMatchObject({ code: "records/bad-image" })
    await expect(
      read(idx({ hold_out: { images: "small-images", labels: "small-labels" } })),
    ).rejects.toMatchObject({ code: "config/invalid" })
  })

  it("have no profile as tables have", async () => {
    const path = join(folder, "facility.yaml")
    await writeFile(path, JSON.stringify({ records: idx() }))
    await expect(profileFacility(path)).rejects.toMatchObject({ code: "config/invalid" })
  })
})

/** A grey PNG of 8 bits, its lines unfiltered. */
const png = (side: number, grey: (at: number) => number): Uint8Array => {
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data])
    const out = Buffer.alloc(body.length + 8)
    out.writeUInt32BE(data.length, 0)
    body.copy(out, 4)
    out.writeUInt32BE(crc32(body), body.length + 4)
    return out
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(side, 0)
  header.writeUInt32BE(side, 4)
  header[8] = 8
  const lines = Buffer.concat(
    Array.from({ length: side }, (_, y) =>
      Buffer.from([0, ...Array.from({ length: side }, (_v, x) => grey(y * side + x))]),
    ),
  )
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(lines)),
    chunk("IEND", new Uint8Array(0)),
  ])
}

describe("a folder of PNG files", () => {
  it("is read by class, and file names tell patients where they are asked to", async () => {
    for (const [label, name] of ["clear", "ill"].entries()) {
      await mkdir(join(folder, "png", name), { recursive: true })
      for (let i = 0; i < 6; i++)
        await writeFile(
          join(folder, "png", name, `p${Math.floor(i / 2)}${name}_${i}.png`),
          png(SIDE, (at) => (at + 40 * i + label) % 256),
        )
    }
    const source = {
      format: "png-folder",
      folder: "png",
      classes: ["clear", "ill"],
      height: SIDE,
      width: SIDE,
    } as const
    const each = await read({ ...source, classes: ["clear", "ill"] })
    expect(new Set([...each.train.patients, ...each.holdOut.patients]).size).toBe(12)
    const raw = await read({ ...source, classes: ["clear", "ill"], patient_until: "_" })
    expect(raw.train.rows + raw.holdOut.rows).toBe(12)
    expect(new Set([...raw.train.patients, ...raw.holdOut.patients]).size).toBe(6)
    // nobody is on both sides
    expect([...raw.train.patients].filter((patient) => raw.holdOut.patients.includes(patient))).toEqual([])
    expect(prepare(raw, study()).train.rows).toBe(raw.train.rows)
    await expect(read({ ...source, classes: ["clear", "gone"] })).rejects.toMatchObject({
      code: "records/unreadable",
    })
  })
})

describe("model in study.yaml", () => {
  const of = (file: object): Study["model"] => studyModelOf(studyModelSchema.parse(file) as StudyModelFile)

  it("names layers, or spells them out with their usual settings", () => {
    const images = { height: 28, width: 28, classes: ["normal", "pneumonia"] }
    const named = of({ kind: "network", images, layers: "cnn-small" })
    const relu = { kind: "relu" }
    const spelled = of({
      kind: "network",
      images: { ...images, channels: 1, means: [0.5], deviations: [0.25] },
      layers: [
        { kind: "conv2d", channels: 8 },
        relu,
        { kind: "max-pool" },
        { kind: "conv2d", channels: 16, size: [3, 3] },
        relu,
        { kind: "max-pool" },
        { kind: "flatten" },
        { kind: "dense", outputs: 1 },
      ],
    })
    expect(named).toEqual(spelled)
  })

  it("takes the columns of a table as inputs", () => {
    const model = of({ kind: "network", features: ["age", "sex"], layers: "mlp-small" })
    expect(model).toMatchObject({ features: ["age", "sex"], images: null, description: { input: [2] } })
  })

  it("refuses what no layer is", () => {
    expect(studyModelSchema.safeParse({ kind: "network", layers: "cnn-huge" }).success).toBe(false)
    expect(studyModelSchema.safeParse({ kind: "network", layers: [{ kind: "lstm" }] }).success).toBe(false)
    expect(studyModelSchema.safeParse({ kind: "logistic-regression", features: [] }).success).toBe(false)
  })
})

describe("the files on the page about images", () => {
  /** Indented blocks of the page that begin so, without their indent. */
  const blocks = async (beginning: string): Promise<readonly string[]> => {
    const page = await readFile(
      new URL("../../../docs/how-to/train-a-network-on-images.md", import.meta.url),
      "utf8",
    )
    return page
      .split(/\n\n(?=\S)|\n\n(?= {4}\S)/)
      .filter((text) => text.startsWith(`    ${beginning}`))
      .map((text) => text.replace(/^ {4}/gm, ""))
  }
  const study = async (...parts: readonly string[]) =>
    studyOf(
      parseConfig(
        studyFileSchema,
        "page",
        [
          "name: page",
          `nonce: "${"ab".repeat(32)}"`,
          "server: {}",
          "rounds: 5",
          "participants: [{ name: leader, role: leader }, { name: a, role: facility, parent: leader }, { name: b, role: facility, parent: leader }, { name: c, role: facility, parent: leader }, { name: d, role: facility, parent: leader }]",
          ...parts,
        ].join("\n"),
      ),
    )

  it("are a study and the records of two facilities as they are read", async () => {
    const [rules = ""] = await blocks("model:")
    const plain = await study(rules)
    expect(parameterCount(plain)).toBe(1649)
    const [privacy = ""] = await blocks("privacy:")
    const noisy = await study(rules.replace("largest_weight: 4096", "weights: equal"), privacy)
    expect(noisy.privacy?.noiseMultiplier).toBeGreaterThan(0.5)
    const [layers = ""] = await blocks("layers:")
    const spelled = await study(rules.replace(/\n {2}layers: cnn-small/, `\n${layers.replace(/^/gm, "  ")}`))
    expect(parameterCount(spelled)).toBe(8 * 26 + 8 * 14 * 14 + 1)
    const formats = (await blocks("records:")).map(
      (text) => parseConfig(facilityFileSchema, "page", text).records.format,
    )
    expect(formats).toEqual(["idx", "png-folder"])
  })
})

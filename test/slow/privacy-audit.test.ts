import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { auditFacilityProcess } from "../../apps/cli/src/audit/facility-process.js"
import type { Section } from "../../apps/cli/src/audit/section.js"
import { brokenBuild, type Patch, programOf } from "../security/broken-build.js"
import { buildProgram, PROGRAM } from "../security/study-run.js"

// A sound build fails one of its rows in 14 of a million audits; a broken one is told to fail its own rows and no others.
// Seven audits: false alarms in fewer than 1e-4 of all runs of this file.

const OPTIMIZER = "packages/privacy/dist/dp-optimizer.js"
const TRAINING = "packages/federation/dist/private-training.js"
const FACILITY = "packages/federation/dist/facility.js"
const SENDING = "packages/federation/dist/facility-sending.js"

const ROWS = [
  "process/noise",
  "process/noise-of-empty-batches",
  "process/share-drawn",
  "process/batch-sizes",
  "process/one-run",
  "process/charges",
  "process/noise-once",
]

const BROKEN: readonly {
  readonly name: string
  readonly patches: readonly Patch[]
  readonly fails: string[]
}[] = [
  {
    name: "halved noise",
    patches: [
      {
        file: OPTIMIZER,
        from: "this.#noise.samples(sum.length)",
        to: "this.#noise.samples(sum.length).map((value) => value / 2n)",
      },
    ],
    fails: ["process/noise", "process/noise-of-empty-batches"],
  },
  {
    name: "no noise",
    patches: [
      {
        file: OPTIMIZER,
        from: "noisy[i] = noisy[i] + BigInt(sum[i])",
        to: "noisy[i] = BigInt(sum[i])",
      },
    ],
    fails: ["process/noise", "process/noise-of-empty-batches", "process/one-run"],
  },
  {
    name: "batches of one size accounted as Poisson",
    patches: [
      {
        file: OPTIMIZER,
        from: "poissonSample(this.#parameters.sampleRate, this.#parameters.datasetSize, this.#bits)",
        to: `(() => {
          const rows = Uint32Array.from({ length: this.#parameters.datasetSize }, (_, row) => row)
          for (let i = 0; i < this.expectedBatchSize; i++) {
            const j = i + (this.#bits.take(24) % (rows.length - i));
            [rows[i], rows[j]] = [rows[j], rows[i]]
          }
          return rows.slice(0, Math.round(this.expectedBatchSize)).sort()
        })()`,
      },
    ],
    fails: ["process/batch-sizes"],
  },
  {
    name: "no noise where nobody was drawn",
    patches: [
      {
        file: OPTIMIZER,
        from: "const noisy = this.#noise.samples(sum.length)",
        to: "const noisy = rows.length === 0 ? new BigInt64Array(sum.length) : this.#noise.samples(sum.length)",
      },
    ],
    fails: ["process/noise-of-empty-batches"],
  },
  {
    name: "noise drawn again for an attempt that is made again, on the same charge",
    patches: [
      {
        file: FACILITY,
        from: "const made = madeFor(memory, spec);",
        to: "const made = null;",
      },
      {
        file: SENDING,
        from: "charged: false,",
        to: "charged: madeFor(state.memory, state.attempt.spec)?.charged === true,",
      },
      {
        file: SENDING,
        from: "ledger: null,",
        to: "ledger: madeFor(state.memory, state.attempt.spec)?.ledger ?? null,",
      },
    ],
    fails: ["process/noise-once"],
  },
  {
    name: "two steps on the charge of one",
    patches: [{ file: TRAINING, from: "step < training.steps", to: "step < 2 * training.steps" }],
    fails: ["process/noise", "process/share-drawn", "process/batch-sizes"],
  },
]

/** Every broken build, unless a run is short of time. */
const EVERY = Number(process.env.CONSILIUM_BUILDS_EVERY ?? 1)

const auditOf = (facilityBin: string): Promise<Section> =>
  auditFacilityProcess({ program: PROGRAM, facilityBin })
const failing = ({ rows }: Section): readonly string[] =>
  rows.filter(({ holds }) => holds === false).map(({ id }) => id)
const told = ({ rows }: Section): string =>
  rows.map(({ id, value, bound }) => `${id}: ${value} (${bound})`).join("\n")

const before = process.env.TMPDIR
/** Where this file's audits, and nobody else's, put their folders. */
const folder = mkdtempSync(join(tmpdir(), "audits-"))
beforeAll(async () => {
  process.env.TMPDIR = folder
  await buildProgram()
})
afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  rmSync(folder, { recursive: true, force: true })
})

/** Folders of audits, and processes that were told of one. */
const leftBehind = (): readonly string[] => [
  ...readdirSync(folder),
  ...execFileSync("ps", ["-A", "-o", "args="], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes(folder)),
]

describe("[S25] the audit of the facility's process", () => {
  it("finds nothing in the build as it is shipped, and leaves nothing behind", async () => {
    const section = await auditOf(PROGRAM)
    expect(section.rows.map(({ id }) => id)).toEqual(ROWS)
    expect(failing(section), told(section)).toEqual([])
    expect(leftBehind()).toEqual([])
  })

  it.each(BROKEN.filter((_, i) => i % EVERY === 0))("catches $name", async ({ patches, fails }) => {
    const build = brokenBuild(patches)
    try {
      const section = await auditOf(programOf(build))
      expect(failing(section), told(section)).toEqual(fails)
    } finally {
      rmSync(build, { recursive: true, force: true })
    }
  })

  it("says so if there is no such program", async () => {
    await expect(auditOf("nowhere/process.js")).rejects.toThrow(/nowhere.process\.js is not there/)
  })

  it("ends all its processes and leaves nothing behind when it is stopped", async () => {
    const stop = AbortSignal.timeout(3000)
    await expect(auditFacilityProcess({ program: PROGRAM, stop })).rejects.toThrow("stopped")
    expect(leftBehind()).toEqual([])
  })

  it("says so if the program is none that can run a study", async () => {
    const build = brokenBuild([
      { file: TRAINING, from: "export const trainPrivately", to: "export const trainsNot" },
    ])
    try {
      await expect(auditOf(programOf(build))).rejects.toThrow(/ended with 1/)
      expect(leftBehind()).toEqual([build.slice(folder.length + 1)])
    } finally {
      rmSync(build, { recursive: true, force: true })
    }
  })
})

import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Study } from "@consilium/federation/study"
import { startAdmin } from "@consilium/node/admin/server"
import { ledgerReadingSchema } from "@consilium/node/ledger-reading"
import type { FacilityMachine } from "@consilium/node/roles/facility-machine"
import { ledgerCommands } from "@consilium/node/roles/ledger-commands"
import { makePrivateFolder } from "@consilium/node/store/files"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { testPolicy, testStudy } from "../../../packages/federation/test/members.js"
import { withPrivacy } from "../../../packages/federation/test/private-study.js"
import { configOf, layOut } from "../../../packages/node/test/audit-study.js"
import { LedgerWorld } from "../../../packages/node/test/ledger-world.js"
import { consilium } from "./in-process.js"

const BUDGET = { epsilon: 6, delta: 1e-5 }
const POLICY = { privacy: { study: BUDGET, month: BUDGET } }
const study = (number: number, rounds: number): Study =>
  testStudy(4, {
    ...withPrivacy({ epsilon: 100, metrics: "none" }),
    protection: "plain",
    rounds,
    nonce: new Uint8Array(32).fill(number),
    name: `study ${number}`,
  })

let folder = ""
let world: LedgerWorld
let config = ""
const closing: (() => Promise<unknown>)[] = []
/** clinic-1 as its process runs it, behind an admin socket where the command line looks for it. */
const serve = async (): Promise<void> => {
  const process = world.process("clinic-1")
  if (process.ledger === null) throw new Error("A facility has a ledger.")
  const host = {
    get studies() {
      return [...process.studies.values()].map((one) => ({
        ...one,
        folder: "",
        machine: one.machine as FacilityMachine,
      }))
    },
  }
  const data = join(folder, "clinic-1", "data")
  await makePrivateFolder(data)
  const admin = await startAdmin(data, ledgerCommands("clinic-1", host, process.ledger, testPolicy(POLICY)))
  closing.push(() => admin.close())
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-ledger-cli-"))
  await layOut(folder, ["leader", "clinic-1", "clinic-2"])
  config = configOf(folder, "clinic-1")
  for (const name of ["clinic-1", "clinic-2"])
    await writeFile(configOf(folder, name), "records: { format: heart-csv, file: records.csv }\n")
  await writeFile(configOf(folder, "leader"), "store: segments\n")
  world = new LedgerWorld({
    place: join(folder, "world"),
    policy: () => POLICY,
    now: () => Date.UTC(2026, 10, 30),
  })
  await world.startAll()
  const first = study(1, 2)
  await world.add(first)
  await world.until(() => world.isOver(first))
  await world.until(() => world.process("clinic-1").ledger?.certified?.seq === 2)
  await world.add(study(2, 9))
  await world.until(() => world.process("clinic-1").ledger?.head.seq === 3)
  await serve()
}, 120_000)
afterAll(async () => {
  for (const close of closing.splice(0)) await close()
  await world.stopAll()
  await rm(folder, { recursive: true, force: true })
})

describe("privacy ledger", () => {
  it("shows what is spent and what still fits", async () => {
    const { code, stdout, stderr } = await consilium("privacy", "ledger", "--config", config)
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout.replaceAll(/\b[0-9a-f]{16}\b/g, "0123456789abcdef")).toMatchInlineSnapshot(`
      "The privacy ledger of clinic-1.
      WARNING: Only 1 more round of the study study 2 fits: then this month's budget for patients' privacy is used up, and 8 are still planned.
      One chain of 3 entries, certified up to entry 2; head 0123456789abcdef. The leader knows of no more.

      month    spent (epsilon)  cap   delta    updates
      2026-11  4.71             6.00  0.00001  3
      All months together, since 2026-11: epsilon 7.44 (delta 0.00001) in 3 updates, by an odometer that holds at every moment.
      The policy caps no lifetime.

      month    study    spent on  updates  steps  alone (epsilon)  delta
      2026-11  study 1  training  2        8      3.76             0.00001
      2026-11  study 2  training  1        4      2.86             0.00001

      study    id                state    spent (epsilon)  cap   delta    updates by month  rounds that still fit                 at the pace so far
      study 1  0123456789abcdef  over     3.76             6.00  0.00001  2026-11: 2        over
      study 2  0123456789abcdef  running  2.86             6.00  0.00001  2026-11: 1        1 (then this month's cap is reached)  no pace known yet
      "
    `)
  })

  it("gives the same as JSON", async () => {
    const { stdout } = await consilium("privacy", "ledger", "--config", config, "--format", "json")
    const { running, ...read } = JSON.parse(stdout) as { running: boolean }
    expect(running).toBe(true)
    expect(ledgerReadingSchema.parse(read)).toMatchObject({
      facility: "clinic-1",
      problem: null,
      head: { seq: 3 },
      thisMonth: { month: "2026-11", updates: 3, cap: BUDGET },
      studies: [
        { name: "study 1", room: null },
        { name: "study 2", room: { by: "month-cap" } },
      ],
    })
  })

  it("was warned of by the facility itself, once", () => {
    const { lines } = world.process("clinic-1")
    const warned = lines.filter((line) => line.includes("still planned"))
    expect(warned).toEqual([
      "privacy: Only 1 more round of the study study 2 fits: then this month's budget for patients' privacy is used up, and 8 are still planned.",
    ])
  })

  it("is written whole into a file for this user only, and over none by mistake", async () => {
    const out = join(folder, "privacy.md")
    const words = ["privacy", "ledger", "export", "--config", config, "--out", out] as const
    const { code, stdout, stderr } = await consilium(...words)
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toBe(
      `Written to ${out}: the privacy ledger of clinic-1 with its 3 entries, for this user only.\n`,
    )
    expect((await stat(out)).mode & 0o777).toBe(0o600)
    const text = (await readFile(out, "utf8"))
      .replaceAll(/\b[0-9a-f]{64}\b/g, "H")
      .replaceAll(/\b[0-9a-f]{16}\b/g, "ID")
      .replace(/Written \d{4}-\d\d-\d\d \d\d:\d\d UTC/, "Written NOW")
    expect(text).toMatchInlineSnapshot(`
      "# What clinic-1 has spent of its patients' privacy

      Written NOW from the facility's own privacy ledger. Period: 2026-11-30 00:00 UTC to 2026-11-30 00:00 UTC. The report holds no patient's value.

      ## Warnings

      - Only 1 more round of the study study 2 fits: then this month's budget for patients' privacy is used up, and 8 are still planned.

      ## Caps of this facility's policy

      | cap | epsilon | delta |
      |---|---|---|
      | one study | 6 | 0.00001 |
      | one calendar month (UTC), all studies | 6 | 0.00001 |
      | all months, all studies | no cap |  |

      ## The ledger as a whole

      Checked: one unbroken chain of 3 entries, head \`H\`; certified by the other facilities up to entry 2 (\`H\`).

      Since 2026-11 all studies together have spent epsilon 7.4388 at delta 0.00001, in 3 releases. An odometer reads this: it holds at every moment, also one chosen because of earlier results, and is dearer than the months for that.
      The facility's policy sets no cap over all months.

      ## By month

      | month | spent (epsilon) | cap | delta | releases |
      |---|---|---|---|---|
      | 2026-11 | 4.7077 | 6 | 0.00001 | 3 |

      ## By study

      | study | id | state | spent (epsilon) | delta | cap |
      |---|---|---|---|---|---|
      | study 1 | H | over | 3.7617 | 0.00001 | 6 |
      | study 2 | H | running | 2.8562 | 0.00001 | 6 |

      ## What it was spent on

      Each row is the cost of these releases alone; the parts do not add up to the whole.

      | month | study | spent on | releases | steps | epsilon | delta |
      |---|---|---|---|---|---|---|
      | 2026-11 | study 1 | training | 2 | 8 | 3.7617 | 0.00001 |
      | 2026-11 | study 2 | training | 1 | 4 | 2.8562 | 0.00001 |

      ## New beginnings of the ledger

      None: nobody has started it anew.

      ## Every charge

      | entry | when | month | study | study id | round | attempt | spent on | steps | mechanism | epsilon after it, in this study | delta | mark |
      |---|---|---|---|---|---|---|---|---|---|---|---|---|
      | 1 | 2026-11-30 00:00 UTC | 2026-11 | study 1 | ID | 1 | 1 | training | 4 | M1 | 2.8562 | 0.00001 | insecure-seed: protects nobody |
      | 2 | 2026-11-30 00:00 UTC | 2026-11 | study 1 | ID | 2 | 1 | training | 4 | M1 | 3.7617 | 0.00001 | insecure-seed: protects nobody |
      | 3 | 2026-11-30 00:00 UTC | 2026-11 | study 2 | ID | 1 | 1 | training | 4 | M1 | 2.8562 | 0.00001 | insecure-seed: protects nobody |

      Each step of a charge is one release of its mechanism:

      - M1: on a random sample that each joins with probability 0.3: discrete Gaussian noise on every entry of a vector (standard deviation 385.50000000000034, L2 sensitivity 257.0000000000002, in grid steps)

      ## What the words mean

      - Epsilon: how much more likely any result can become through one patient's data: at most e^epsilon times. Smaller protects better, and it only ever rises.
      - Delta: the small probability with which that bound need not hold.
      - Noise: random numbers added before anything leaves the facility, so that results look nearly the same with or without one patient.
      "
    `)
    const again = await consilium(...words)
    expect([again.code, again.stdout]).toEqual([2, ""])
    expect(again.stderr).toContain("cli/file-exists")
    await writeFile(out, "old")
    expect((await consilium(...words, "--force")).code).toBe(0)
    expect((await readFile(out, "utf8")).replace(/Written .*? UTC/, "")).toContain(
      "# What clinic-1 has spent",
    )
    expect((await stat(out)).mode & 0o777).toBe(0o600)
  })

  it("is written in forms for machines, with every entry and its chain", async () => {
    const out = (form: string): string => join(folder, `privacy.${form}`)
    const write = (form: string, ...more: readonly string[]) =>
      consilium("privacy", "ledger", "export", "--config", config, "--out", out(form), ...more)
    const told = await write("json", "--format", "json")
    expect(JSON.parse(told.stdout)).toMatchObject({
      facility: "clinic-1",
      form: "json",
      entries: 3,
      isWhole: true,
    })
    const report = JSON.parse(await readFile(out("json"), "utf8"))
    expect(report).toMatchObject({
      kind: "consilium-privacy-ledger",
      facility: "clinic-1",
      running: true,
      period: { from: "2026-11-30T00:00:00.000Z", to: "2026-11-30T00:00:00.000Z" },
      chain: { entries: 3, isWhole: true, problem: null, certified: { seq: 2 } },
      caps: { study: BUDGET, month: BUDGET, lifetime: null },
      lifetime: { updates: 3 },
    })
    const entries: { seq: number; hash: string; previous: string; epsilon: number }[] = report.entries
    expect(entries.map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(entries.slice(1).map(({ previous }) => previous)).toEqual(
      entries.slice(0, 2).map(({ hash }) => hash),
    )
    expect(report.chain.head).toBe(entries[2]?.hash)
    // the form of a file follows its name
    await write("csv")
    await consilium(
      ...["privacy", "ledger", "export", "--config", config, "--form", "csv"],
      ...["--out", join(folder, "no-name")],
    )
    expect(await readFile(join(folder, "no-name"), "utf8")).toBe(await readFile(out("csv"), "utf8"))
    const lines = (await readFile(out("csv"), "utf8")).split("\r\n")
    expect(lines).toHaveLength(5)
    expect(lines[0]).toBe(
      "facility,entry,type,time,month,study,study_id,purpose,round,attempt,steps,mechanism,event,epsilon_after,delta,insecure_seed,by,reason,hash,previous",
    )
    expect(lines[1]).toMatch(
      /^clinic-1,1,charge,2026-11-30T00:00:00.000Z,2026-11,study 1,[0-9a-f]{64},training,1,1,4,/,
    )
    expect(lines[3]).toContain(
      `,${entries[2]?.epsilon},0.00001,true,,,${entries[2]?.hash},${entries[1]?.hash}`,
    )
  })

  it("is exported only with words that go together", async () => {
    const here = ["privacy", "ledger", "export", "--config", config] as const
    const at = ["--out", join(folder, "x.md")] as const
    for (const words of [
      here,
      [...here, ...at, "--form", "text"],
      ["privacy", "ledger", "--config", config, "--form", "csv"],
    ])
      expect((await consilium(...words)).code).toBe(2)
    const nowhere = await consilium(...here, "--out", join(folder, "no", "such", "folder.md"))
    expect([nowhere.stdout, nowhere.stderr]).toEqual(["", expect.stringContaining("store/failed")])
  })

  it("resets nothing that is whole, and nothing without a name and a reason", async () => {
    const reset = ["privacy", "ledger", "reset", "--config", config] as const
    const whole = await consilium(...reset, "--by", "A. Okafor", "--reason", "a try")
    expect([whole.stdout, whole.stderr]).toEqual(["", expect.stringContaining("privacy/ledger-whole")])
    for (const words of [
      reset,
      [...reset, "--by", "A. Okafor"],
      ["privacy", "ledger"],
      ["privacy", "ledger", "burn", "--config", config],
    ])
      expect((await consilium(...words)).code).toBe(2)
  })

  it("says what is missing, and begins anew by a person's word", async () => {
    const { ledger } = world.process("clinic-1")
    ledger?.noteShown("", null, [{ seq: 9, hash: new Uint8Array(32).fill(9), certified: true }])
    const broken = await consilium("privacy", "ledger", "--config", config)
    expect(broken.stdout).toContain("NOT WHOLE: The others hold entry 9 of this facility's privacy ledger")
    expect(broken.stdout).toContain("0 (the ledger is not whole)")
    const words = ["--by", "A. Okafor", "--reason", "the disk is lost"] as const
    const begun = await consilium("privacy", "ledger", "reset", "--config", config, ...words)
    expect(begun.stdout).toMatchInlineSnapshot(`
      "The privacy ledger of clinic-1 begins anew with entry 10; all of 2026-11 counts as spent.
      Rounds with differential privacy go on here next month.
      "
    `)
    const after = await consilium("privacy", "ledger", "--config", config)
    expect(after.stdout).toContain("all of it: started anew by A. Okafor (the disk is lost)")
    expect(after.stdout).toContain("0 (then this month's cap is reached)")
    expect(after.stdout).toContain("at least epsilon")
    const out = join(folder, "after.md")
    await consilium("privacy", "ledger", "export", "--config", config, "--out", out)
    const text = await readFile(out, "utf8")
    expect(text).toContain("| 10 | 2026-11-30 00:00 UTC | 2026-11 | A. Okafor | the disk is lost |")
    expect(text).toContain("What was lost before a new beginning is not in it.")
  })

  it("is a facility's, and one that has started", async () => {
    const leader = await consilium("privacy", "ledger", "--config", configOf(folder, "leader"))
    expect(leader.stderr).toContain("config/invalid")
    const never = await consilium("privacy", "ledger", "--config", configOf(folder, "clinic-2"))
    expect([never.stdout, never.stderr]).toEqual(["", expect.stringContaining("identity/not-enrolled")])
    const stopped = await consilium(
      ...[
        "privacy",
        "ledger",
        "reset",
        "--config",
        configOf(folder, "clinic-2"),
        "--by",
        "A",
        "--reason",
        "b",
      ],
    )
    expect(stopped.stderr).toContain("admin/not-running")
  })
})

import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { insecureSeededSecret } from "@consilium/base/testing"
import { participantId } from "@consilium/federation/roster"
import { startAdmin } from "@consilium/node/admin/server"
import { facilityKeysOf, type KeyedStudy } from "@consilium/node/keys/held-keys"
import { leaderCommands } from "@consilium/node/roles/leader-commands"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { type Options, type Outcome, runStudy } from "../../../packages/federation/test/harness.js"
import { rosterOf } from "../../../packages/federation/test/members.js"
import { serveTest, type TestApi } from "../../../packages/node/test/api-server.js"
import { LoggedStudy } from "../../../packages/node/test/api-study.js"
import { configOf, keepLog, layOut } from "../../../packages/node/test/audit-study.js"
import { RunningLeader } from "../../../packages/node/test/running-leader.js"
import { temporaryFolder } from "../../../packages/node/test/store-children.js"
import { consilium } from "./in-process.js"

/** A study in which clinic-3 sleeps through the first ceremony, and a person asks for new keys. */
const asleep = (): Options["speak"] => {
  let sleeps = true
  return (utterance) => {
    const { by, message } = utterance
    if (by === "leader" && message.type === "announce" && message.spec.purpose === "update") sleeps = false
    return by === "clinic-3" && sleeps ? [] : [utterance]
  }
}
const OPTIONS: Options = {
  facilities: 5,
  study: { protection: "ckks", rounds: 2, name: "with keys" },
  speak: asleep() as NonNullable<Options["speak"]>,
}

let outcome: Outcome
let folder = ""
let remove: () => Promise<void> = async () => undefined
beforeAll(async () => {
  outcome = runStudy(OPTIONS)
  const made = await temporaryFolder("keys")
  folder = made.path
  remove = made.remove
  await layOut(folder, ["leader", "clinic-1"])
  await writeFile(configOf(folder, "clinic-1"), "records: { format: heart-csv, file: records.csv }\n")
  await keepLog(folder, "segments", {
    study: outcome.study,
    roster: rosterOf(outcome.study, 5, 2),
    log: outcome.log,
  })
})
afterAll(() => remove())

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A leader's API with a study under way and one that is over. */
const served = async () => {
  const leader = await RunningLeader.begin({ name: "under way", protection: "ckks", rounds: 3 })
  const server: TestApi = await serveTest()
  closing.push(
    () => leader.close(),
    () => server.close(),
  )
  server.leader.all.push(leader.handle, new LoggedStudy(outcome))
  return { server, leader, api: ["--leader", server.url] as const }
}
const REASON = ["--reason", "a laptop was lost"] as const

describe("keys status", () => {
  it("tells scheme, parameters, who has keys and how long they last, over the API", async () => {
    const { api } = await served()
    const { code, stdout } = await consilium("keys", "status", ...api, "--study", "with keys")
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Keys of the study with keys \([0-9a-f]{16}, complete\)\n/)
    expect(stdout).toContain("CKKS: updates stay encrypted while they are added; 4 facilities open a sum")
    expect(stdout).toContain("parameters    degree 4,096, modulus of 78 bits in 3 primes")
    expect(stdout).toContain("39,960 bytes an update, 7992 a value")
    expect(stdout).toMatch(/epoch {9}2, since .*; the study is over, and its keys are destroyed\n/)
    expect(stdout).toContain("openings      1 used, 499 left")
    expect(stdout).toContain(
      "keys of       5 of 5 facilities: clinic-1, clinic-2, clinic-3, clinic-4, clinic-5",
    )
    const all = JSON.parse((await consilium("keys", "status", ...api, "--format", "json")).stdout)
    expect(all.role).toBe("leader")
    expect(all.studies.map(({ study }: { study: { name: string } }) => study.name)).toEqual([
      "test",
      "under way",
      "with keys",
    ])
    const text = await consilium("keys", "status", ...api)
    expect(text.stdout).toContain("protection    shamir, which has no keys that are kept from round to round")
    expect(text.stdout).toContain("epoch         none yet: the first ceremony comes before round 1")
    expect(text.stdout).toContain("under way     a ceremony for epoch 1, before round 1: collecting")
  })

  it("tells the same of a leader that does not run, from its folder", async () => {
    const { api } = await served()
    const stopped = await consilium(
      ...["keys", "status", "--config", configOf(folder, "leader"), "--format", "json"],
    )
    const asked = await consilium("keys", "status", ...api, "--study", "with keys", "--format", "json")
    expect(JSON.parse(stopped.stdout)).toEqual(JSON.parse(asked.stdout))
  })

  it("at a facility tells what it holds itself, by its own ledger, and no key", async () => {
    const me = { name: "clinic-1", id: participantId("clinic-1") }
    /** clinic-1 after each of its openings. */
    const states: KeyedStudy["machine"][] = []
    const run = runStudy({
      ...OPTIONS,
      speak: asleep() as NonNullable<Options["speak"]>,
      corrupt: (facility, step) => {
        const { state } = step
        if (facility === "clinic-1" && state.memory.keys !== null && state.phase === "opened")
          states.push({ state, directory: state.memory.directory })
        return step
      },
    })
    const runner = { id: "ab".repeat(32), over: false }
    const data = join(folder, "clinic-1", "data")
    await mkdir(data, { recursive: true, mode: 0o700 })
    const keysOf = (machine: KeyedStudy["machine"]) =>
      facilityKeysOf(me, [{ study: run.study, runner, machine }])
    const [first] = states
    if (first === undefined) throw new Error("clinic-1 opened nothing.")
    // its keys are erased by now, but not what else the state holds
    const admin = await startAdmin(data, { keys: { schema: anything, run: () => keysOf(first) } })
    closing.push(() => admin.close())
    const config = configOf(folder, "clinic-1")
    const { stdout } = await consilium("keys", "status", "--config", config)
    expect(stdout).toMatch(/^What clinic-1 holds of the keys of the study with keys \(abababababababab\)\n/)
    expect(stdout).toContain("epoch         1\n")
    expect(stdout).toContain("own key       here\n")
    expect(stdout).toContain("shares        of 4 of 4 keys\n")
    expect(stdout).toMatch(/openings {6}(499|500) left by its own ledger\n/)
    const json = await consilium("keys", "status", "--config", config, "--format", "json")
    expect(JSON.parse(json.stdout)).toMatchObject({
      role: "facility",
      facility: "clinic-1",
      studies: [{ name: "with keys", held: { own: true, keys: 4, shares: 4, lastCeremony: 1 } }],
    })
    const secret = insecureSeededSecret(1, "epoch-secret", run.study.name, "clinic-1", "1").expose()
    const words = json.stdout + stdout
    for (const text of [Buffer.from(secret).toString("hex"), Buffer.from(secret).toString("base64")])
      expect(words).not.toContain(text)
    const other = await consilium("keys", "status", "--config", config, "--study", "none")
    expect([other.code, other.stderr]).toEqual([5, expect.stringContaining("admin/no-such-study")])
  })
})

/** Takes any arguments. */
const anything = { safeParse: (data: unknown) => ({ success: true, data }) } as never

describe("keys rotate", () => {
  it("asks over the API, says what comes of it, and may be said twice", async () => {
    const { api, leader } = await served()
    const rotate = ["keys", "rotate", ...api, "--study", "under way", ...REASON] as const
    const first = await consilium(...rotate, "--format", "json")
    expect([first.code, first.stderr]).toEqual([0, ""])
    expect(JSON.parse(first.stdout)).toEqual({
      id: leader.runner.id,
      name: "under way",
      epoch: 0,
      beforeRound: 1,
      asked: true,
      why: "loopback asked for it: a laptop was lost",
    })
    const again = await consilium(...rotate)
    expect([again.code, again.stdout]).toEqual([
      0,
      expect.stringMatching(
        /^The study under way makes new keys before round 1 already: nothing was added\.\n/,
      ),
    ])
    const status = await consilium("keys", "status", ...api, "--study", "under way")
    expect(status.stdout).toContain(
      "new keys      before the next round: loopback asked for it: a laptop was lost",
    )
    expect((await consilium("study", "status", ...api, "--study", "under way")).stdout).toContain(
      "under way     new keys before round 1, collecting",
    )
  })

  it("asks a running leader over its admin socket, in the name of who runs the command", async () => {
    const { leader } = await served()
    const own = { study: leader.study, folder, runner: leader.runner, machine: leader.machine }
    const host = { studies: [own] } as unknown as Parameters<typeof leaderCommands>[0]
    const service = { name: "leader" } as unknown as Parameters<typeof leaderCommands>[1]
    const data = join(folder, "leader", "data")
    const admin = await startAdmin(data, leaderCommands(host, service))
    closing.push(() => admin.close())
    const config = ["--config", configOf(folder, "leader")] as const
    const named = await consilium("keys", "rotate", ...config, ...REASON, "--by", "A. Okafor")
    expect([named.code, named.stderr]).toEqual([0, ""])
    expect(named.stdout).toMatch(
      /^The study under way makes new keys before round 1\.\n {2}because {7}A\. Okafor \(the leader's admin socket\) asked for it: a laptop was lost\n/,
    )
    const json = await consilium("keys", "status", ...config, "--format", "json")
    expect(JSON.parse(json.stdout).studies).toMatchObject([
      { study: { name: "under way" }, keys: { wanted: expect.stringMatching(/^A\. Okafor/) } },
    ])
    const unknown = await consilium("keys", "rotate", ...config, ...REASON, "--study", "none")
    expect([unknown.code, unknown.stderr]).toEqual([5, expect.stringContaining("admin/no-such-study")])
  })

  it("refuses with what is wrong", async () => {
    const { api } = await served()
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [["rotate", ...api, "--study", "test", ...REASON], 6, "keys/none"],
      [["rotate", ...api, "--study", "with keys", ...REASON], 6, "keys/no-round"],
      [["rotate", ...api, ...REASON], 5, "admin/no-such-study"],
      [["rotate", ...api, "--study", "under way", "--reason", "one\ntwo"], 2, "cli/usage"],
      [["rotate", "--config", configOf(folder, "clinic-1"), ...REASON], 2, "config/invalid"],
      [["rotate", "--config", configOf(folder, "leader"), ...REASON], 5, "admin/not-running"],
      [["status", "--config", configOf(folder, "clinic-1")], 5, "admin/not-running"],
      [["ceremony", "--config", configOf(folder, "clinic-1")], 5, "admin/not-running"],
      [["ceremony", ...api, "--study", "test"], 6, "keys/none"],
      [["ceremony", ...api], 5, "admin/no-such-study"],
      [["ceremony", ...api, "--study", "with keys", "--epoch", "9"], 2, "cli/usage"],
      [["rotate", ...REASON], 2, ""],
      [["status", ...api, "--config", "leader.yaml"], 2, ""],
      [["rotate", ...api], 2, ""],
      [["ceremony", ...api, "--epoch", "0"], 2, ""],
    ]
    for (const [words, code, error] of cases) {
      const ran = await consilium("keys", ...words)
      expect([words, ran.code, ran.stdout, ran.stderr]).toEqual([
        words,
        code,
        "",
        expect.stringContaining(error),
      ])
    }
  })
})

describe("keys ceremony", () => {
  it("shows every ceremony step by step: who dealt, checked, tested and signed", async () => {
    const config = ["--config", configOf(folder, "leader")] as const
    const { code, stdout } = await consilium("keys", "ceremony", ...config)
    expect(code).toBe(0)
    expect(stdout.replaceAll(/[0-9a-f]{16}/g, "<id>")).toMatchInlineSnapshot(`
      "Key ceremonies of the study with keys (<id>, complete)
      Epoch 1, before round 1: held after 100.1 s
        began        1970-01-01T00:16:40.000Z, because the study had no keys yet
        facility  dealt a key  answered  checked shares  tested keys  signed
        clinic-1  0.0 s        60.0 s    60.1 s          80.1 s       80.1 s
        clinic-2  0.0 s        60.0 s    60.1 s          80.1 s       80.1 s
        clinic-3  -            -         -               -            -
        clinic-4  0.0 s        60.0 s    60.1 s          80.1 s       80.1 s
        clinic-5  0.0 s        60.0 s    60.1 s          80.1 s       80.1 s
        tested       the keys of clinic-1, clinic-2, clinic-4, clinic-5; opened by clinic-1, clinic-2, clinic-4, clinic-5
        certificate  4 signed: clinic-1, clinic-2, clinic-4, clinic-5
        keys of      clinic-1, clinic-2, clinic-4, clinic-5
      Epoch 2, before round 2: held after 0.2 s
        began        1970-01-01T00:18:20.240Z, because clinic-3 has no key in this epoch
        facility  dealt a key  answered  checked shares  tested keys  signed
        clinic-1  0.0 s        0.1 s     0.1 s           0.2 s        0.2 s
        clinic-2  0.0 s        0.1 s     0.1 s           0.2 s        0.2 s
        clinic-3  0.0 s        0.1 s     0.1 s           0.2 s        0.2 s
        clinic-4  0.0 s        0.1 s     0.1 s           0.2 s        0.2 s
        clinic-5  0.0 s        0.1 s     0.1 s           0.2 s        0.2 s
        tested       the keys of clinic-1, clinic-2, clinic-3, clinic-4, clinic-5; opened by clinic-2, clinic-3, clinic-4, clinic-5
        certificate  5 signed: clinic-1, clinic-2, clinic-3, clinic-4, clinic-5
        keys of      clinic-1, clinic-2, clinic-3, clinic-4, clinic-5
      "
    `)
    const json = await consilium("keys", "ceremony", ...config, "--epoch", "2", "--format", "json")
    expect(JSON.parse(json.stdout)).toMatchObject({
      study: { name: "with keys", state: "complete" },
      ceremonies: [{ epoch: 2, phase: "held", cause: "clinic-3 has no key in this epoch" }],
    })
  })

  it("shows complaints, and why one was given up", async () => {
    const { api, server } = await served()
    const dropped = new Set<string>()
    const given = runStudy({
      facilities: 5,
      study: { protection: "ckks", rounds: 1, name: "given up", nonce: new Uint8Array(32).fill(5) },
      speak: (utterance) =>
        ["clinic-2", "clinic-4", "clinic-5"].includes(utterance.by) &&
        utterance.message.type === "submit" &&
        dropped.size < dropped.add(utterance.by).size
          ? []
          : [utterance],
    })
    server.leader.all.push(new LoggedStudy(given))
    const { stdout } = await consilium("keys", "ceremony", ...api, "--study", "given up")
    expect(stdout).toContain("Epoch 1, before round 1: given up after ")
    expect(stdout).toContain("  given up     2 facilities sent shares of a key; 3 are needed")
    expect(stdout).toContain("Epoch 2, before round 1, attempt 2: held after ")
    expect(stdout).toContain(", because the ceremony before was given up")
  })
})

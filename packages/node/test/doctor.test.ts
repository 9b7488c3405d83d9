import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { chmod, cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { insecureSeededRandom } from "@consilium/base/testing"
import { emptyHead, type LogEntry, nextHeader } from "@consilium/federation/log"
import { openRoster, participantId } from "@consilium/federation/roster"
import { syntheticHeart } from "@consilium/records/synthetic-heart"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { facilityFileText, fogFileText, leaderFileText } from "../src/config/role-files.js"
import { roomOf } from "../src/doctor/disk-room.js"
import { type Check, type Examined, examine, exitCodeOf, note, passed } from "../src/doctor/finding.js"
import { leaveStudies } from "../src/doctor/leave.js"
import {
  clock,
  entropy,
  fileLimit,
  freshBuild,
  loopback,
  machineChecks,
  nodeVersion,
  portFree,
  programs,
  writable,
} from "../src/doctor/machine-checks.js"
import { roleChecks } from "../src/doctor/role-checks.js"
import { RoleUnderTest } from "../src/doctor/role-under-test.js"
import { saveCertificates, savedCertificates } from "../src/identity/enrol-client.js"
import { loadOrCreateKeys } from "../src/identity/keys.js"
import { nodeSuite } from "../src/identity/suite.js"
import { initStudy } from "../src/init.js"
import { runAuthority } from "../src/roles/authority.js"
import { joinStudy, openSealed } from "../src/roles/membership.js"
import { lockFolder } from "../src/store/lock.js"
import { openSegmentStores } from "../src/store/segment-stores.js"
import { freePort, SEATS, studyFile } from "./identity-authority.js"
import { testStudy } from "./identity-study.js"
import { temporaryFolder } from "./store-children.js"

let folder = ""
let remove: () => Promise<void> = async () => undefined
beforeAll(async () => {
  const made = await temporaryFolder("doctor")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

const found = async (check: Check): Promise<Examined> => (await examine([check]))[0] as Examined
const problem = (code: string) => ({ verdict: "problem", code, remedy: expect.stringMatching(/\.$/) })

describe("a machine", () => {
  it("is asked all its questions, and none of them fails by itself", async () => {
    const all = await examine(machineChecks({ clone: null, built: 0 }))
    expect(all.filter(({ code, verdict }) => verdict === "problem" && code === null)).toEqual([])
    expect(all.map(({ id }) => id)).toEqual([
      ...["node", "build", "disk", "clock", "open-files", "entropy", "loopback", "port-8001", "port-8443"],
      ...["temporary-folder", "cache-folder", "chromium", "postgresql"],
    ])
  })

  it("has a Node.js that is new enough", async () => {
    expect(await found(nodeVersion("20.19.0"))).toMatchObject({ verdict: "passed" })
    expect(await found(nodeVersion("22.1.0"))).toMatchObject({ verdict: "passed" })
    for (const old of ["20.18.9", "18.20.4"])
      expect(await found(nodeVersion(old))).toMatchObject(problem("cli/old-node"))
  })

  it("has a build of the sources that are there", async () => {
    const clone = join(folder, "clone")
    await cp(fileURLToPath(new URL("../../../scripts", import.meta.url)), join(clone, "scripts"), {
      recursive: true,
    })
    expect(await found(freshBuild(clone))).toMatchObject(problem("cli/stale-build"))
    const { sourceState } = await import(pathToFileURL(join(clone, "scripts/build.mjs")).href)
    await mkdir(join(clone, ".consilium"))
    await writeFile(join(clone, ".consilium/build-stamp"), sourceState(clone))
    expect(await found(freshBuild(clone))).toMatchObject({ verdict: "passed" })
    await writeFile(join(clone, "tsconfig.json"), "{}")
    expect(await found(freshBuild(clone))).toMatchObject(problem("cli/stale-build"))
    expect(await found(freshBuild(null))).toMatchObject({ verdict: "passed" })
  })

  it("has room on its disk, also where the folder is to be made yet", async () => {
    const MB = 2 ** 20
    const at = (bytes: number): Check => ({ id: "disk", run: () => roomOf(folder, async () => bytes) })
    expect(await found(at(99 * MB))).toMatchObject(problem("store/little-room"))
    expect(await found(at(500 * MB))).toMatchObject({ verdict: "note" })
    expect(await found(at(2000 * MB))).toMatchObject({ verdict: "passed" })
    expect((await roomOf(join(folder, "not", "there"))).says).toContain(`disk of ${folder} has`)
  })

  it("has a clock that is not behind what has happened", async () => {
    const now = Date.parse("2026-03-01T10:00:00Z")
    expect(await found(clock(() => now, now - 1))).toMatchObject({ verdict: "not-checked" })
    expect(await found(clock(() => now, now + 1))).toMatchObject({ verdict: "note" })
  })

  it.skipIf(process.platform !== "linux")(
    "lets a process open enough files (skipped: needs /proc)",
    async () => {
      const limits = join(folder, "limits")
      await writeFile(limits, execFileSync("sh", ["-c", "ulimit -n 256; cat /proc/self/limits"]))
      expect(await found(fileLimit(limits))).toMatchObject({
        ...problem("store/few-files"),
        says: "This process may open 256 files; 1024 are needed.",
      })
      await writeFile(limits, execFileSync("sh", ["-c", "ulimit -n 2048 2>/dev/null; cat /proc/self/limits"]))
      expect(await found(fileLimit(limits))).toMatchObject({ verdict: "passed" })
      expect(await found(fileLimit(join(folder, "none")))).toMatchObject({ verdict: "not-checked" })
    },
  )

  it("has a random generator that is ready", async () => {
    const file = join(folder, "entropy")
    await writeFile(file, "12\n")
    expect(await found(entropy(file))).toMatchObject(problem("random/little-entropy"))
    await writeFile(file, "256\n")
    expect(await found(entropy(file))).toMatchObject({ verdict: "passed" })
  })

  it("has a loopback to listen on", async () => {
    // an address of documentation (RFC 5737) is no machine's own
    expect(await found(loopback(["203.0.113.7"]))).toMatchObject(problem("network/no-loopback"))
    const one = await found(loopback(["127.0.0.1", "203.0.113.7"]))
    expect(one).toMatchObject({ verdict: "note", says: expect.stringContaining("Only 127.0.0.1") })
  })

  it("says who has a port", async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as { port: number }
    const taken = await found(portFree(port, "for tests"))
    expect(taken.verdict).toBe("note")
    if (process.platform === "linux") expect(taken.says).toContain(`taken by process ${process.pid} (`)
    expect(await found(portFree(port, "for tests", { only: true }))).toMatchObject(
      problem("network/port-taken"),
    )
    server.close()
    await once(server, "close")
    expect(await found(portFree(port, "for tests", { only: true }))).toMatchObject({ verdict: "passed" })
  })

  it("lets this user write where it must", async () => {
    await writeFile(join(folder, "a-file"), "")
    expect(await found(writable("cache", join(folder, "a-file", "below")))).toMatchObject(
      problem("store/failed"),
    )
    expect(await found(writable("cache", join(folder, "to", "be", "made")))).toMatchObject({
      verdict: "passed",
    })
  })

  it("is asked for programs only to tell", async () => {
    await mkdir(join(folder, "bin"))
    await writeFile(join(folder, "bin", "psql"), "")
    const path = join(folder, "bin")
    expect(await found(programs("x", ["postgres", "psql"], "for tests", path))).toMatchObject({
      verdict: "passed",
    })
    expect(await found(programs("x", ["chromium"], "for tests", path))).toMatchObject({ verdict: "note" })
  })
})

describe("an examination", () => {
  it("goes on after a problem, keeps unknown errors' words to itself, and ends with the first problem's class", async () => {
    const checks: Check[] = [
      { id: "good", run: async () => passed("Good.") },
      { id: "odd", run: async () => note("Odd.") },
      {
        id: "unknown",
        run: async () => {
          throw new Error("patient 4711")
        },
      },
      nodeVersion("1.0.0"),
    ]
    const all = await examine(checks)
    expect(all.map(({ verdict }) => verdict)).toEqual(["passed", "note", "problem", "problem"])
    expect(JSON.stringify(all)).not.toContain("4711")
    expect(exitCodeOf(all)).toBe(1)
    expect(exitCodeOf(all.filter(({ id }) => id !== "unknown"))).toBe(2)
    expect(exitCodeOf(all.slice(0, 2))).toBe(0)
  })
})

describe("a role", () => {
  const fileOf = (name: string): string =>
    join(
      folder,
      "study",
      name,
      "local",
      `${name === "leader" ? name : name === "fog-1" ? "fog" : "facility"}.yaml`,
    )
  const north = (): string => fileOf("north")
  const data = (): string => join(folder, "study", "north", "data")
  const local = (file: string): string => join(folder, "study", "north", "local", file)

  const examined = async (config = north()): Promise<readonly Examined[]> => {
    const under = new RoleUnderTest(config)
    try {
      return await examine(await roleChecks(under, { patienceMs: 0 }))
    } finally {
      await under.close()
    }
  }
  const verdicts = (all: readonly Examined[]) =>
    Object.fromEntries(all.map(({ id, verdict }) => [id, verdict]))
  const problems = (all: readonly Examined[]) =>
    Object.fromEntries(all.flatMap(({ id, verdict, code }) => (verdict === "problem" ? [[id, code]] : [])))
  /** The problems while something is broken: what is put right again afterwards. */
  const brokenBy = async (break_: () => Promise<() => Promise<void>>, config = north()) => {
    const mend = await break_()
    try {
      return problems(await examined(config))
    } finally {
      await mend()
    }
  }
  const written = (path: string, change: (bytes: Buffer) => Buffer | string) => async () => {
    const kept = await readFile(path)
    await writeFile(path, change(Buffer.from(kept)))
    return () => writeFile(path, kept)
  }
  const withMode = (path: string, mode: number, before: number) => async () => {
    await chmod(path, mode)
    return () => chmod(path, before)
  }
  /** Nobody answers in these tests once all have enrolled. */
  const ALONE = { authority: "identity/authority-unreachable", parent: "network/unreachable" }

  beforeAll(async () => {
    const { authorityFile } = await initStudy({
      folder: join(folder, "study"),
      study: studyFile(1),
      authority: { host: "127.0.0.1", port: await freePort() },
      local: new Map(
        SEATS.map(({ name, role }) => [
          name,
          role === "leader"
            ? leaderFileText({ store: "segments" })
            : role === "fog"
              ? fogFileText({})
              : facilityFileText({ records: { format: "heart-csv", file: "records.csv" }, policy: {} }),
        ]),
      ),
    })
    const random = insecureSeededRandom("doctor")
    await writeFile(local("records.csv"), syntheticHeart({ profile: "clinic", rows: 60, random }))
    expect(verdicts(await examined())).toEqual({
      configuration: "passed",
      kit: "passed",
      "data-folder": "passed",
      "storage-key": "passed",
      "file-modes": "not-checked",
      "data-disk": "passed",
      certificate: "not-checked",
      roster: "not-checked",
      authority: "not-checked",
      parent: "not-checked",
      records: "note",
      "privacy-ledger": "not-checked",
      keys: "not-checked",
      log: "not-checked",
    })
    expect(await leaveStudies(north()).catch(({ code }) => code)).toBe("identity/not-enrolled")

    const stop = new AbortController()
    const ended = runAuthority(authorityFile, () => undefined, stop.signal)
    const members = await Promise.all(
      SEATS.map(({ name, role }) =>
        joinStudy({
          configPath: fileOf(name),
          role,
          dataFolder: "../data",
          storageKey: { kind: "file", path: join(folder, "study", name, "local", "storage.key") },
          listen: role === "facility" ? null : { hosts: ["127.0.0.1"], ports: [0] },
          patience: 30_000 as Parameters<typeof joinStudy>[0]["patience"],
          narrate: () => undefined,
          stop: stop.signal,
        }),
      ),
    )
    for (const member of members) {
      await member.address?.close()
      await member.leave()
    }
    const up = await examined(authorityFile)
    expect(problems(up)).toEqual({})
    expect(verdicts(up)).toMatchObject({
      "data-folder": "passed",
      "study-file": "passed",
      log: "not-checked",
    })
    stop.abort()
    await ended
    expect(problems(await examined(authorityFile))).toEqual({})
    expect((await examined(authorityFile)).find(({ id }) => id === "log")?.says).toContain(
      "6 of 6 participants have enrolled; 1 study was begun",
    )
  }, 60_000)

  it("that is stopped and well has only its way to others to complain of, and changes nothing", async () => {
    const all = await examined()
    expect(problems(all)).toEqual(ALONE)
    expect(verdicts(all)).toMatchObject({
      certificate: "passed",
      roster: "passed",
      log: "passed",
      records: "note",
      "privacy-ledger": "passed",
    })
    expect(problems(await examined(fileOf("leader")))).toEqual({ authority: ALONE.authority })
    const key = await readFile(local("storage.key"), "utf8")
    const kit = await readFile(join(folder, "study", "north", "kit", "kit.json"), "utf8")
    const { token } = JSON.parse(kit) as { token: string }
    const words = JSON.stringify(all)
    for (const secret of [key.trim(), token]) expect(words).not.toContain(secret)
  }, 30_000)

  it("has a configuration without unknown keys, and a kit that nobody changed", async () => {
    expect(await brokenBy(written(north(), (text) => `${text}speed: 9\n`))).toEqual({
      configuration: "config/invalid",
    })
    expect(
      await brokenBy(
        written(join(folder, "study", "north", "kit", "kit.json"), (text) =>
          String(text).replace('"fog-1"', '"fog-2"'),
        ),
      ),
    ).toMatchObject({ configuration: "identity/bad-kit" })
  })

  it("has a folder that nobody else uses", async () => {
    const lock = await lockFolder(data())
    const all = await examined()
    await lock.close()
    expect(all.find(({ id }) => id === "data-folder")).toMatchObject({
      verdict: "note",
      says: expect.stringContaining(`in use by process ${process.pid}`),
    })
    expect(verdicts(all)).toMatchObject({ certificate: "not-checked", log: "not-checked", records: "note" })
  })

  it("has a storage key that is its own, and files for its owner only", async () => {
    const key = local("storage.key")
    const modes = await brokenBy(withMode(key, 0o644, 0o600))
    expect(modes).toMatchObject({
      "storage-key": "store/open-permissions",
      certificate: "store/open-permissions",
    })
    const gone = await brokenBy(async () => {
      await rename(key, `${key}.away`)
      return () => rename(`${key}.away`, key)
    })
    expect(gone).toMatchObject({ "storage-key": "store/key-missing", log: "store/key-missing" })
    expect(await brokenBy(written(key, () => `${"ab".repeat(32)}\n`))).toMatchObject({
      roster: "store/wrong-key",
    })
    expect((await brokenBy(withMode(data(), 0o755, 0o700)))["file-modes"]).toBe("store/open-permissions")
  }, 30_000)

  it("has a certificate that is good for long enough, and a roster that names its keys", async () => {
    const open = () => openSealed(data(), { kind: "file", path: local("storage.key") })
    const sealed = await open()
    const mine = await savedCertificates(sealed)
    const keys = await loadOrCreateKeys(sealed)
    const until = async (left: number): Promise<void> => {
      const past = Date.now() - 100 * 86_400_000
      const { authority } = await testStudy(join(folder, `ca-${left}`), () => past)
      const { makeCsr } = await import("../src/identity/csr.js")
      const certificate = await authority.issue({
        csr: makeCsr("north", keys.tlsKey),
        name: "north",
        role: "facility",
        validityDays: 100 + left,
      })
      await saveCertificates(sealed, { certificate, caCertificate: authority.certificate })
    }
    await until(-1)
    expect((await examined()).find(({ id }) => id === "certificate")).toMatchObject(
      problem("identity/certificate-expired"),
    )
    await until(6)
    expect((await examined()).find(({ id }) => id === "certificate")).toMatchObject({ verdict: "note" })
    await saveCertificates(sealed, mine as NonNullable<typeof mine>)
    const roster = join(data(), "roster.signed")
    const flipped = await brokenBy(
      written(roster, (bytes) => {
        bytes[200] = (bytes[200] as number) ^ 1
        return bytes
      }),
    )
    expect(flipped.roster).toMatch(/^(identity\/bad-roster|encoding\/)/)
    const south = join(folder, "study", "south", "data")
    const stranger = await brokenBy(async () => {
      // the folder of somebody else under this kit: its keys are not the ones that the roster names
      await rename(data(), `${data()}.away`)
      await cp(south, data(), { recursive: true })
      await cp(join(folder, "study", "south", "local", "storage.key"), local("storage.key.new"))
      await rename(local("storage.key"), local("storage.key.away"))
      await rename(local("storage.key.new"), local("storage.key"))
      return async () => {
        await rm(data(), { recursive: true })
        await rename(`${data()}.away`, data())
        await rename(local("storage.key.away"), local("storage.key"))
      }
    })
    expect(stranger.roster).toBe("identity/bad-roster")
  }, 60_000)

  it("has records that can be read", async () => {
    expect((await brokenBy(written(local("records.csv"), () => "age;sex\n63;1\n"))).records).toMatch(
      /^(csv|records|schema)\//,
    )
    const gone = await brokenBy(async () => {
      await rename(local("records.csv"), local("away.csv"))
      return () => rename(local("away.csv"), local("records.csv"))
    })
    expect(gone.records).toBe("records/unreadable")
  }, 30_000)

  it("has logs that hold, event by event, and journals that open", async () => {
    const signed = new Uint8Array(await readFile(join(data(), "roster.signed")))
    const sealed = await openSealed(data(), { kind: "file", path: local("storage.key") })
    const keys = await loadOrCreateKeys(sealed)
    const { authorityKey } = await (await import("../src/identity/kit.js")).readKit(
      join(folder, "study", "north"),
    )
    const digest = openRoster(nodeSuite, authorityKey, signed).directory.roster.study
    const place = join(data(), "studies", Buffer.from(digest).toString("hex").slice(0, 16))
    const kept = async (entry: (hash: Uint8Array) => Uint8Array, journal: Uint8Array[]): Promise<void> => {
      await rm(join(data(), "studies"), { recursive: true, force: true })
      const stores = await openSegmentStores(join(data(), "studies"))
      const { header, head } = nextHeader(emptyHead(digest as Parameters<typeof emptyHead>[0]), {
        at: 1,
        actor: participantId("north"),
        type: "update-submitted",
        body: new Uint8Array(3),
      })
      const one: LogEntry = { header, body: new Uint8Array(3), signature: entry(head.hash) }
      await (await stores.study(digest)).commit({ journal, entries: [one] })
      await stores.close()
      await writeFile(join(place, "roster.signed"), signed)
    }
    await kept((hash) => keys.sign(hash), [])
    expect((await examined()).find(({ id }) => id === "log")).toMatchObject({
      verdict: "passed",
      says: "One study: 1 events hold by chain and signature, 0 journal records open.",
    })
    await kept(() => new Uint8Array(64), [])
    expect(problems(await examined()).log).toBe("identity/bad-signature")
    await kept((hash) => keys.sign(hash), [new Uint8Array(80)])
    expect(problems(await examined()).log).toBe("store/unsealable")
    await rm(join(data(), "studies"), { recursive: true })
  }, 60_000)
})

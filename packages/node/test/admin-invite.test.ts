import { access, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { openRoster } from "@consilium/federation/roster"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parse } from "yaml"
import type { InviteArguments } from "../src/admin/authority-commands.js"
import { callAdmin } from "../src/admin/client.js"
import { inviteParticipant } from "../src/admin/invite.js"
import { facilityFileSchema, fogFileSchema, storageKeyOf } from "../src/config/role-files.js"
import { enrol, fetchRoster } from "../src/identity/enrol-client.js"
import { loadOrCreateKeys } from "../src/identity/keys.js"
import { readKit } from "../src/identity/kit.js"
import { nodeSuite } from "../src/identity/suite.js"
import { tlsIdentity } from "../src/identity/tls.js"
import { initStudy } from "../src/init.js"
import { openAuthorityFolder, runAuthority } from "../src/roles/authority.js"
import { openSealed } from "../src/roles/membership.js"
import { freePort, type Joined, SEATS, studyFile } from "./identity-authority.js"
import { temporaryFolder } from "./store-children.js"

const now = Date.now
let root: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("invite")
  root = made.path
  remove = made.remove
})
afterAll(() => remove())

let n = 0
interface Laid {
  readonly folder: string
  readonly config: string
  readonly data: string
}
const layOut = async (): Promise<Laid> => {
  const folder = join(root, String(n++))
  const { authorityFile } = await initStudy({
    folder,
    study: studyFile(1),
    authority: { host: "127.0.0.1", port: await freePort() },
    local: new Map(),
  })
  return { folder, config: authorityFile, data: join(folder, "authority", "data") }
}

/** Runs the authority in this process, with its real server and socket. */
const running = async (config: string): Promise<{ lines: string[]; stop(): Promise<void> }> => {
  const stop = new AbortController()
  const lines: string[] = []
  let up: () => void = () => undefined
  const listening = new Promise<void>((resolve) => {
    up = resolve
  })
  const ended = runAuthority(
    config,
    (line) => {
      lines.push(line)
      if (line.startsWith("listening")) up()
    },
    stop.signal,
  )
  await Promise.race([listening, ended])
  return {
    lines,
    stop: async () => {
      stop.abort()
      await ended
    },
  }
}

/** Enrols from a kit folder, with keys of its own. */
const join_ = async (folder: string, address = ""): Promise<Joined> => {
  const kit = await readKit(folder)
  const source = storageKeyOf({ file: "storage.key" }, join(folder, "local", "role.yaml"))
  const keys = await loadOrCreateKeys(await openSealed(join(folder, "data"), source))
  const certificates = await enrol({ kit, keys, address, now, patienceMs: 5000 })
  return { kit, keys, identity: tlsIdentity(keys, certificates) }
}

const river = (folder: string, change: Partial<InviteArguments> = {}): InviteArguments => ({
  name: "river",
  role: "facility",
  parent: "fog-1",
  folder: join(folder, "invited"),
  ...change,
})

describe("an invitation", () => {
  it("made while the authority runs lets a newcomer in, with a kit like the first ones", async () => {
    const { folder, config, data } = await layOut()
    const authority = await running(config)
    for (const { name } of SEATS)
      await join_(join(folder, name), name === "leader" || name === "fog-1" ? "localhost:9000" : "")
    expect(authority.lines).toContain("all 6 participants have enrolled; the roster is signed")

    const invited = await inviteParticipant(config, river(folder))
    expect(invited).toEqual({
      folder: join(folder, "invited", "river"),
      config: join(folder, "invited", "river", "local", "facility.yaml"),
      expires: expect.stringMatching(/^20\d\d-.*Z$/),
    })
    facilityFileSchema.parse(parse(await readFile(invited.config, "utf8")))
    const fog = await inviteParticipant(
      config,
      river(folder, { name: "fog-2", role: "fog", parent: "leader" }),
    )
    fogFileSchema.parse(parse(await readFile(fog.config, "utf8")))
    const own = await inviteParticipant(config, river(folder, { name: "lake", local: "mine: 1\n", days: 1 }))
    expect(await readFile(own.config, "utf8")).toBe("mine: 1\n")
    expect((await readdir(join(folder, "invited"))).sort()).toEqual(["fog-2", "lake", "river"])

    const { kit, identity } = await join_(invited.folder)
    const { directory } = openRoster(nodeSuite, kit.authorityKey, await fetchRoster(kit, identity, { now }))
    expect(directory.roster.version).toBe(2)
    expect(directory.facilities.map(({ name }) => name)).toContain("river")

    const participants = (await callAdmin(data, "participants")) as Record<string, unknown>[]
    expect(participants.map(({ name, state }) => `${name} ${state}`)).toEqual([
      "east enrolled",
      "fog-1 enrolled",
      "fog-2 invited",
      "lake invited",
      "leader enrolled",
      "north enrolled",
      "river enrolled",
      "south enrolled",
      "west enrolled",
    ])
    expect(JSON.stringify(participants)).not.toMatch(/token|PRIVATE/i)
    expect(await callAdmin(data, "rosters")).toMatchObject([
      {
        name: "study 1",
        version: 2,
        closedAt: null,
        fogs: ["fog-1"],
        facilities: expect.arrayContaining(["river"]),
      },
    ])
    await authority.stop()
    await expect(access(join(data, "admin.sock"))).rejects.toMatchObject({ code: "ENOENT" })
  })

  it("made while the authority is stopped is good when it runs, and waits for the parent that is named", async () => {
    const { folder, config } = await layOut()
    const { folder: kit } = await inviteParticipant(config, river(folder))
    const authority = await running(config)
    await join_(kit)
    expect(authority.lines.join()).not.toContain("signed")
    await authority.stop()
  })

  it("that would change nothing for the better is refused, stopped or running, and leaves no trace", async () => {
    const { folder, config } = await layOut()
    const refused = async (): Promise<void> => {
      for (const [change, code] of [
        [{ name: "Bad Name" }, "identity/bad-name"],
        [{ name: "authority" }, "identity/name-taken"],
        [{ name: "north", parent: "fog-9" }, "identity/bad-invitation"],
        [{ role: "fog" }, "identity/bad-invitation"],
        [{ parent: "north" }, "identity/bad-invitation"],
        [{ parent: "nobody" }, "identity/bad-invitation"],
        [{ role: "leader" as "fog", parent: "leader" }, "identity/bad-invitation"],
        [{ days: 0 }, "identity/bad-invitation"],
        [{ url: "http://ca.example.org" }, "identity/bad-address"],
      ] as const)
        await expect(inviteParticipant(config, river(folder, change)), code).rejects.toMatchObject({ code })
      expect(await readdir(join(folder, "invited")).catch(() => [])).toEqual([])
      await mkdir(join(folder, "invited", "river"), { recursive: true })
      await writeFile(join(folder, "invited", "river", "mine"), "")
      await expect(inviteParticipant(config, river(folder))).rejects.toMatchObject({
        code: "identity/kit-exists",
      })
      expect(await readdir(join(folder, "invited"))).toEqual(["river"])
      await rm(join(folder, "invited"), { recursive: true })
    }
    await refused()
    const authority = await running(config)
    await refused()
    const north = join(folder, "north")
    await join_(north)
    await expect(inviteParticipant(config, river(folder, { name: "north" }))).rejects.toMatchObject({
      code: "identity/name-taken",
    })
    await authority.stop()
  })

  it("made again takes the place of one that was lost", async () => {
    const { folder, config } = await layOut()
    const authority = await running(config)
    const first = await inviteParticipant(config, river(folder))
    const second = await inviteParticipant(config, river(folder, { folder: join(folder, "again") }))
    await expect(join_(first.folder)).rejects.toMatchObject({ code: "identity/token-refused" })
    await join_(second.folder)
    // so does one for a participant of the study file whose kit was lost
    const south = await inviteParticipant(config, river(folder, { name: "south" }))
    await expect(join_(join(folder, "south"))).rejects.toMatchObject({ code: "identity/token-refused" })
    await join_(south.folder)
    await authority.stop()
  })

  it("of an authority that listens everywhere has to say where newcomers reach it", async () => {
    const { folder, config } = await layOut()
    await writeFile(config, (await readFile(config, "utf8")).replace("127.0.0.1", "0.0.0.0"))
    await expect(inviteParticipant(config, river(folder))).rejects.toMatchObject({
      code: "identity/bad-address",
      remedy: expect.stringContaining("Name the address"),
    })
    const url = "https://ca.example.org:8440"
    const { folder: kit } = await inviteParticipant(config, river(folder, { url }))
    expect((await readKit(kit)).authorityUrl).toBe(url)
  })

  it("waits for an authority that is starting, and says who holds the folder of one that does not", async () => {
    const { folder, config } = await layOut()
    const holder = await openAuthorityFolder(config, () => undefined)
    setTimeout(() => void holder.close(), 300)
    await inviteParticipant(config, river(folder))
  })
})

describe("an authority's study file", () => {
  it("that is no tree is refused before anybody enrols", async () => {
    const { folder, config } = await layOut()
    const path = join(folder, "study.yaml")
    await writeFile(path, (await readFile(path, "utf8")).replace("parent: fog-1", "parent: river"))
    await expect(running(config)).rejects.toMatchObject({ code: "identity/bad-roster" })
    // and the folder is free again
    await writeFile(
      path,
      (await readFile(path, "utf8")).replace(
        "role: facility\n    parent: river",
        "role: facility\n    parent: fog-1",
      ),
    )
    await (await running(config)).stop()
  })

  it("that changes after the roster was signed changes nothing, and that is said", async () => {
    const { folder, config, data } = await layOut()
    let authority = await running(config)
    for (const { name } of SEATS)
      await join_(join(folder, name), name === "leader" || name === "fog-1" ? "localhost:9000" : "")
    const before = await callAdmin(data, "rosters")
    await authority.stop()
    const path = join(folder, "study.yaml")
    await writeFile(path, (await readFile(path, "utf8")).replace("rounds: 2", "rounds: 3"))
    authority = await running(config)
    expect(authority.lines.join()).toContain("has changed since its roster was signed")
    expect(await callAdmin(data, "rosters")).toEqual(before)
    await authority.stop()
  })
})

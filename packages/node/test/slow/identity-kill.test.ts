import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { openRoster } from "@consilium/federation/roster"
import { encodeStudy } from "@consilium/federation/study"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { callAdmin } from "../../src/admin/client.js"
import { inviteParticipant } from "../../src/admin/invite.js"
import { askToLeave, enrol, fetchRoster, proposeStudy } from "../../src/identity/enrol-client.js"
import { readKit } from "../../src/identity/kit.js"
import { nodeSuite } from "../../src/identity/suite.js"
import { tlsIdentity } from "../../src/identity/tls.js"
import { initStudy } from "../../src/init.js"
import { freePort, type Joined, SEATS, studyFile, studyNumber } from "../identity-authority.js"
import { testStudy } from "../identity-study.js"
import { buildChild, type Child, startChild, temporaryFolder } from "../store-children.js"

const times = { now: Date.now, patienceMs: 20_000 }
let root: string
let remove: () => Promise<void>
let script: string
beforeAll(async () => {
  const made = await temporaryFolder("kill")
  root = made.path
  remove = made.remove
  script = await buildChild("authority", root)
})
afterAll(() => remove())

describe("an authority process that is killed", () => {
  it("goes on where it was, under the same address, with the same rosters and a new admin socket", async () => {
    const folder = join(root, "study")
    const { authorityFile: config } = await initStudy({
      folder,
      study: studyFile(1),
      authority: { host: "127.0.0.1", port: await freePort() },
      local: new Map(),
    })
    const data = join(folder, "authority", "data")
    const own = await testStudy(join(root, "keys"))
    const admit = async (kitFolder: string): Promise<Joined> => {
      const kit = await readKit(kitFolder)
      const keys = await own.keysOf(kit.name)
      const address = kit.role === "facility" ? "" : "localhost:9000"
      return { kit, keys, identity: tlsIdentity(keys, await enrol({ kit, keys, address, ...times })) }
    }
    const start = async (): Promise<Child> => {
      const child = startChild(process.execPath, [script, config])
      await child.line("listening")
      return child
    }

    let child = await start()
    const all: Record<string, Joined> = {}
    for (const { name } of SEATS) {
      all[name] = await admit(join(folder, name))
      if (name === "north" || name === "west") {
        await child.kill()
        expect(await readdir(data)).toContain("admin.sock")
        await expect(callAdmin(data, "rosters")).rejects.toMatchObject({ code: "admin/not-running" })
        child = await start()
      }
    }
    const { kit, identity } = all.leader as Joined
    const first = await fetchRoster(kit, identity, times)
    const study = encodeStudy(studyNumber(2))
    const second = await proposeStudy(kit, identity, study, times)
    await child.kill()

    // nobody runs: the invitation is made in the folder itself
    const invited = await inviteParticipant(config, {
      name: "river",
      role: "facility",
      parent: "fog-1",
      folder: join(folder, "invited"),
    })
    child = await start()
    expect(await fetchRoster(kit, identity, times)).toEqual(first)
    expect(await proposeStudy(kit, identity, study, times)).toEqual(second)
    // killed while it answers: asked again, both are done once
    const wish = askToLeave(
      (all.west as Joined).kit,
      (all.west as Joined).identity,
      (all.west as Joined).keys,
      times,
    )
    const coming = admit(invited.folder)
    setTimeout(() => void child.kill(), 20)
    await child.ended()
    child = await start()
    await Promise.all([wish, coming])
    const { directory } = openRoster(nodeSuite, kit.authorityKey, await fetchRoster(kit, identity, times))
    expect(directory.roster.version).toBe(3)
    expect(directory.facilities.map(({ name }) => name).sort()).toEqual(["east", "north", "river", "south"])
    child.process.kill("SIGTERM")
    await child.line("ended")
    expect(await readdir(data)).not.toContain("admin.sock")
  })
})

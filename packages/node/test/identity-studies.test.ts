import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { checkSuccession, type Directory, openRoster, participantId } from "@consilium/federation/roster"
import { encodeStudy, studyDigest } from "@consilium/federation/study"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { rosterActCodec } from "../src/identity/acts.js"
import {
  askToLeave,
  closeStudy,
  fetchRoster,
  listStudies,
  proposeStudy,
} from "../src/identity/enrol-client.js"
import { makeInvitation } from "../src/identity/invitation.js"
import { readKit } from "../src/identity/kit.js"
import { leaveCodec } from "../src/identity/leaving.js"
import { nodeSuite } from "../src/identity/suite.js"
import { type Joined, raw, SEATS, studyFile, studyNumber, TestAuthority } from "./identity-authority.js"
import { temporaryFolder } from "./store-children.js"

const now = Date.now
const times = { now, patienceMs: 5000 }
const FIRST = studyDigest(studyNumber(1))
let root: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("studies")
  root = made.path
  remove = made.remove
})
afterAll(() => remove())

let n = 0
let authority: TestAuthority
let all: Record<string, Joined>
beforeEach(async () => {
  authority = await TestAuthority.start(join(root, String(n++)))
  all = await authority.joinAll()
})
afterEach(() => authority.stop())

const as = (name: string): [Joined["kit"], Joined["identity"]] => {
  const { kit, identity } = all[name] as Joined
  return [kit, identity]
}
const opened = (signed: Uint8Array | null): Directory =>
  openRoster(nodeSuite, authority.me.keys.signingKey, signed as Uint8Array).directory
const namesIn = (directory: Directory): readonly string[] =>
  directory.roster.participants.map(({ name }) => name).sort()

/** Invites somebody and lets it enrol. */
const newcomer = async (name: string, role: "facility" | "fog", parent: string): Promise<Joined> => {
  const { folder } = await makeInvitation(hostOf(authority), {
    name,
    role,
    parent,
    folder: join(authority.folder, "invited"),
    days: 30,
  })
  authority.kits.set(name, await readKit(folder))
  all[name] = await authority.join(name)
  return all[name]
}
export const hostOf = (of: TestAuthority): Parameters<typeof makeInvitation>[0] => ({
  registry: of.registry,
  name: "authority",
  study: "study 1",
  listen: { host: "127.0.0.1", port: of.port },
  caFingerprint: of.study.authority.fingerprint,
  keys: of.me.keys,
  now: of.now,
})

describe("rosters after the first", () => {
  it("follow each newcomer and each who leaves, in every study that is open, and nobody else changes", async () => {
    const second = studyNumber(2)
    const third = studyNumber(3)
    for (const study of [second, third])
      expect(opened(await proposeStudy(...as("leader"), encodeStudy(study), times)).roster).toMatchObject({
        study: studyDigest(study),
        version: 1,
      })
    await closeStudy(...as("leader"), studyDigest(third), times)
    const before = opened(await fetchRoster(...as("north"), times))

    await newcomer("fog-2", "fog", "leader")
    await newcomer("river", "facility", "fog-2")
    const { at } = await askToLeave(...as("west"), (all.west as Joined).keys, times)
    expect(Math.abs(at - now())).toBeLessThan(60_000)

    for (const study of [FIRST, studyDigest(second)]) {
      const next = opened(await fetchRoster(...as("river"), { ...times, study, after: 2 }))
      expect(next.roster.version).toBe(4)
      expect(namesIn(next)).toEqual(["east", "fog-1", "fog-2", "leader", "north", "river", "south"])
      checkSuccession(study === FIRST ? before : opened(await first(study)), next)
    }
    // the closed one stays as it was, and does not name who came later
    const closed = studyDigest(third)
    expect(opened(await fetchRoster(...as("north"), { ...times, study: closed })).roster.version).toBe(1)
    await expect(fetchRoster(...as("river"), { ...times, study: closed })).rejects.toMatchObject({
      code: "identity/unknown-study",
    })
    expect(await listStudies(...as("north"), times)).toEqual([
      { digest: FIRST, name: "study 1", version: 4, closed: false },
      { digest: studyDigest(second), name: "study 2", version: 4, closed: false },
      { digest: closed, name: "study 3", version: 1, closed: true },
    ])
    expect((await listStudies(...as("river"), times)).map(({ name }) => name)).toEqual(["study 1", "study 2"])
    // who has left may still see that it has
    expect((await listStudies(...as("west"), times)).map(({ version }) => version)).toEqual([4, 4, 1])
  })
  const first = (study: Uint8Array): Promise<Uint8Array> =>
    proposeStudy(
      ...as("leader"),
      encodeStudy(
        [studyNumber(2), studyNumber(3)].find((one) => toHex(studyDigest(one)) === toHex(study)) as never,
      ),
      times,
    )

  it("come to whoever waits for them as soon as they are signed, and nothing comes to who has the newest", async () => {
    expect(await fetchRoster(...as("north"), { ...times, study: FIRST, after: 1, waitSeconds: 0 })).toBe(null)
    const begun = performance.now()
    const waiting = fetchRoster(...as("north"), { ...times, after: 1 })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await newcomer("river", "facility", "fog-1")
    expect(opened(await waiting).roster.version).toBe(2)
    expect(performance.now() - begun).toBeLessThan(10_000)
    const later = performance.now()
    expect(await fetchRoster(...as("north"), { ...times, after: 2, waitSeconds: 1 })).toBe(null)
    expect(performance.now() - later).toBeGreaterThan(900)
  })

  it("are the same after a restart", async () => {
    await proposeStudy(...as("leader"), encodeStudy(studyNumber(2)), times)
    await newcomer("river", "facility", "fog-1")
    const ask = async (): Promise<readonly Uint8Array[]> =>
      Promise.all(
        [1, 2].map((number) =>
          fetchRoster(...as("north"), { ...times, study: studyDigest(studyNumber(number)) }),
        ),
      )
    const before = await ask()
    const head = authority.log.head
    await authority.stop()
    await authority.run()
    expect(await ask()).toEqual(before)
    expect(authority.log.head).toEqual(head)
  })

  it("keep a waiting caller waiting only so often at a time", async () => {
    const waits = Array.from({ length: 16 }, () =>
      raw(authority.port, { path: "/v1/roster?after=1", as: as("north")[1] }),
    )
    await new Promise((resolve) => setTimeout(resolve, 500))
    const begun = performance.now()
    expect((await raw(authority.port, { path: "/v1/roster?after=1", as: as("north")[1] })).status).toBe(204)
    expect(performance.now() - begun).toBeLessThan(5000)
    await newcomer("river", "facility", "fog-1")
    expect((await Promise.all(waits)).map(({ status }) => status)).toEqual(Array(16).fill(200))
  })
})

describe("a study that the leader proposes", () => {
  it("begins among all who are present, once, whatever happens later", async () => {
    await newcomer("river", "facility", "fog-1")
    const encoded = encodeStudy(studyNumber(2, { cohort: { smallest: 3, threshold: 4, colluders: 1 } }))
    const signed = await proposeStudy(...as("leader"), encoded, times)
    expect(opened(signed).roster.version).toBe(1)
    expect(namesIn(opened(signed))).toEqual([...SEATS.map(({ name }) => name), "river"].sort())
    await newcomer("lake", "facility", "fog-1")
    await closeStudy(...as("leader"), studyDigest(decodeOf(encoded)), times)
    expect(await proposeStudy(...as("leader"), encoded, times)).toEqual(signed)
  })
  const decodeOf = (encoded: Uint8Array) => {
    const study = studyNumber(2, { cohort: { smallest: 3, threshold: 4, colluders: 1 } })
    expect(encodeStudy(study)).toEqual(encoded)
    return study
  }

  it("must fit the facilities that are there", async () => {
    // made for six facilities
    const participants = [
      ...(studyFile(2).participants ?? []),
      ...["a", "b"].map((name) => ({ name, role: "facility" as const, parent: "fog-1" })),
    ]
    const study = studyNumber(2, { participants, cohort: { smallest: 5, threshold: 5, colluders: 1 } })
    await expect(proposeStudy(...as("leader"), encodeStudy(study), times)).rejects.toMatchObject({
      code: "round/bad-study",
      message: "4 facilities cannot form a cohort of 5.",
    })
    expect(authority.registry.studies()).toHaveLength(1)
  })
})

describe("leaving", () => {
  it("is refused with the numbers when too few would remain, and can be asked for twice", async () => {
    const { keys } = all.west as Joined
    const first = await askToLeave(...as("west"), keys, times)
    const entries = await authority.log.entries()
    expect(await askToLeave(...as("west"), keys, { now: () => now() + 5 })).toEqual(first)
    expect(await authority.log.entries()).toEqual(entries)
    expect(authority.registry.studies().map(({ version }) => version)).toEqual([2])
    const refused = askToLeave(...as("north"), (all.north as Joined).keys, times)
    await expect(refused).rejects.toMatchInlineSnapshot(
      `[ConsiliumError: If north leaves, 2 facilities remain. The study "study 1" cannot go on among 2 facilities: 2 facilities cannot form a cohort of 3.]`,
    )
    expect(authority.registry.studies().map(({ version }) => version)).toEqual([2])
    // once the study is closed there is nothing to hold it
    await closeStudy(...as("leader"), FIRST, times)
    await askToLeave(...as("north"), (all.north as Joined).keys, times)
  })

  it("is for good: the name, the keys and the certificate are good for nothing more", async () => {
    await askToLeave(...as("west"), (all.west as Joined).keys, times)
    await expect(authority.join("west")).rejects.toMatchObject({ code: "identity/has-left" })
    await expect(newcomer("west", "facility", "fog-1")).rejects.toMatchObject({ code: "identity/name-taken" })
    const { keys } = all.west as Joined
    await expect(
      makeInvitation(hostOf(authority), {
        name: "west-2",
        role: "facility",
        parent: "west",
        folder: join(authority.folder, "invited"),
        days: 1,
      }),
    ).rejects.toMatchObject({ code: "identity/bad-invitation" })
    expect(keys.signingKey).toHaveLength(32)
  })

  it("is not possible before the first roster", async () => {
    const early = await TestAuthority.start(join(root, `early-${n++}`))
    const { kit, identity, keys } = await early.join("north")
    await expect(askToLeave(kit, identity, keys, times)).rejects.toMatchObject({
      code: "identity/roster-pending",
      message: "5 of 6 participants of the first study have not enrolled yet.",
    })
    const leader = await early.join("leader")
    await expect(
      proposeStudy(leader.kit, leader.identity, encodeStudy(studyNumber(2)), times),
    ).rejects.toMatchObject({ code: "identity/roster-pending" })
    await expect(closeStudy(leader.kit, leader.identity, FIRST, times)).rejects.toMatchObject({
      code: "identity/roster-pending",
    })
    expect(
      await fetchRoster(leader.kit, leader.identity, { ...times, study: FIRST, after: 0, waitSeconds: 0 }),
    ).toBe(null)
    await early.stop()
  })
})

describe("newcomers", () => {
  it("that were invited before the first roster come in right after it", async () => {
    const early = await TestAuthority.start(join(root, `early-${n++}`))
    const invite = async (name: string, parent: string): Promise<void> => {
      const { folder } = await makeInvitation(hostOf(early), {
        name,
        role: "facility",
        parent,
        folder: join(early.folder, "invited"),
        days: 1,
      })
      early.kits.set(name, await readKit(folder))
    }
    await invite("river", "fog-1")
    await early.join("river")
    await early.joinAll()
    const [study] = early.registry.studies()
    expect(study?.version).toBe(2)
    expect(study?.directory.facilities).toHaveLength(5)
    await early.stop()
  })

  it("are not added where a study that is open could not go on with them", async () => {
    // weights of up to 12,000 rows: four facilities sum below 2^31, five and six too, seven do not
    const study = studyNumber(2, { protection: "shamir", quantisation: { largest_weight: 10_922 } })
    await proposeStudy(...as("leader"), encodeStudy(study), times)
    await newcomer("a", "facility", "fog-1")
    await newcomer("b", "facility", "fog-1")
    await expect(newcomer("c", "facility", "fog-1")).rejects.toMatchObject({ code: "round/bad-study" })
    expect(authority.registry.members().some(({ name }) => name === "c")).toBe(false)
    expect(authority.registry.studies().map(({ version }) => version)).toEqual([3, 3])
    await closeStudy(...as("leader"), studyDigest(study), times)
    all.c = await authority.join("c")
    expect(authority.registry.studies().map(({ version }) => version)).toEqual([4, 3])
  })
})

describe("the authority's log", () => {
  it("shows who came, who asked to leave, and every roster once", async () => {
    await newcomer("river", "facility", "fog-1")
    await askToLeave(...as("west"), (all.west as Joined).keys, times)
    await closeStudy(...as("leader"), FIRST, times)
    const entries = await authority.log.entries()
    const told = entries.map(({ header }) => header.type)
    expect(told.filter((type) => type === "invited")).toHaveLength(SEATS.length + 1)
    expect(told.filter((type) => type === "enrolled")).toHaveLength(SEATS.length + 1)
    expect(told.filter((type) => type === "certificate")).toHaveLength(SEATS.length + 1)
    const rosters = entries.filter(({ header }) => header.type === "roster")
    expect(rosters.map(({ body }) => decode(rosterActCodec, body).version)).toEqual([1, 2, 3])
    expect(decode(rosterActCodec, (rosters[2] as (typeof rosters)[0]).body).sha256).toEqual(
      sha256(authority.registry.studies()[0]?.signed as Uint8Array),
    )
    const left = entries.find(({ header }) => header.type === "left")
    expect(left?.header.actor).toEqual(participantId("west"))
    expect(decode(leaveCodec, left?.body as Uint8Array).name).toBe("west")
    expect(told.at(-1)).toBe("closed")
    // public material only
    const everything = Buffer.concat(entries.map(({ body }) => body)).toString("latin1")
    for (const kit of authority.kits.values()) {
      expect(everything).not.toContain(Buffer.from(kit.token).toString("latin1"))
      expect(everything).not.toContain(Buffer.from(kit.token).toString("base64url"))
    }
    expect(everything).not.toContain("PRIVATE KEY")
  })

  it("is refused when an entry was altered", async () => {
    const { readdir, readFile, writeFile } = await import("node:fs/promises")
    await authority.stop()
    const folder = join(authority.folder, "log")
    const [file] = await readdir(folder)
    const bytes = await readFile(join(folder, file as string))
    const at = bytes.indexOf("north")
    bytes[at] = "x".charCodeAt(0)
    await writeFile(join(folder, file as string), bytes)
    await expect(authority.open()).rejects.toMatchObject({ code: "store/corrupt" })
    bytes[at] = "n".charCodeAt(0)
    await writeFile(join(folder, file as string), bytes)
    await authority.run()
  })
})

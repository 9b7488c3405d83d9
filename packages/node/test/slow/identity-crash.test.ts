import { createHash } from "node:crypto"
import { cpSync, existsSync, promises, readdirSync, readFileSync } from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { join } from "node:path"
import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { encodeStudy } from "@consilium/federation/study"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ActLog, rosterActCodec } from "../../src/identity/acts.js"
import { openAuthority } from "../../src/identity/ca.js"
import { askToLeave, closeStudy, proposeStudy, renewCertificate } from "../../src/identity/enrol-client.js"
import { makeInvitation } from "../../src/identity/invitation.js"
import { readKit, tokenHash } from "../../src/identity/kit.js"
import { Registry } from "../../src/identity/registry.js"
import { SealedFiles } from "../../src/store/sealed.js"
import { SEATS, studyNumber, TestAuthority } from "../identity-authority.js"
import { temporaryFolder } from "../store-children.js"

const DAY = 86_400_000
let root: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("crash")
  root = made.path
  remove = made.remove
})
afterAll(() => remove())

/** Calls `before` in front of every step that changes a disk, until it is told to stop. */
const watchWrites = async (before: () => void): Promise<() => void> => {
  const handle = await promises.open(root, "r")
  const handles = Object.getPrototypeOf(handle) as Record<string, (...args: never[]) => unknown>
  await handle.close()
  const functions = promises as unknown as Record<string, (...args: never[]) => unknown>
  const undo: (() => void)[] = []
  const watch = (owner: typeof handles, name: string): void => {
    const original = owner[name] as (...args: never[]) => unknown
    owner[name] = function (this: unknown, ...args: never[]) {
      before()
      return original.apply(this, args)
    }
    undo.push(() => {
      owner[name] = original
    })
  }
  for (const name of ["write", "writeFile", "sync", "datasync", "truncate"]) watch(handles, name)
  for (const name of ["rename", "unlink", "link", "mkdir", "rm", "rmdir", "writeFile"]) watch(functions, name)
  syncBuiltinESMExports()
  return () => {
    for (const back of undo) back()
    syncBuiltinESMExports()
  }
}

const KEPT = ["authority", "log", "invited"]

/** Digest of all files of an authority. */
const digestOf = (folder: string): string => {
  const digest = createHash("sha256")
  for (const part of KEPT)
    if (existsSync(join(folder, part)))
      for (const entry of readdirSync(join(folder, part), { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name)
        digest.update(path)
        if (entry.isFile()) digest.update(readFileSync(path))
      }
  return digest.digest("hex")
}

interface Answered {
  readonly enrolled: readonly string[]
  readonly left: readonly string[]
  readonly closed: number
  readonly invited: boolean
  /** Rosters that somebody may have seen: "study version" and the digest. */
  readonly served: ReadonlyMap<string, string>
}

describe("an authority that is killed between any two writes", () => {
  it("has all that it answered, and no version of a roster twice, when it is started again", async () => {
    let clock = Date.now()
    const authority = await TestAuthority.start(join(root, "live"), { now: () => clock })
    const { study, me } = authority
    const served = new Map<string, string>()
    const look = (registry: Registry): void => {
      for (const { id, version, signed } of registry.studies())
        served.set(`${id} ${version}`, toHex(sha256(signed)))
    }
    let answered: Answered = { enrolled: [], left: [], closed: 0, invited: false, served: new Map() }
    const done = (change: Partial<Answered>): void => {
      look(authority.registry)
      answered = { ...answered, ...change, served: new Map(served) }
    }
    const all = await authority.joinAll(SEATS.slice(0, -1).map(({ name }) => name))
    done({ enrolled: Object.keys(all) })

    const crashes: { readonly folder: string; readonly answered: Answered }[] = []
    let last = ""
    const stop = await watchWrites(() => {
      // what is served can be read before the write that follows
      look(authority.registry)
      const digest = digestOf(authority.folder)
      if (digest === last) return
      last = digest
      const folder = join(root, `crash-${crashes.length}`)
      for (const part of KEPT)
        if (existsSync(join(authority.folder, part)))
          cpSync(join(authority.folder, part), join(folder, part), { recursive: true })
      crashes.push({ folder, answered: { ...answered, served: new Map(served) } })
    })
    const invitation = (folder: string) => ({
      name: "river",
      role: "facility" as const,
      parent: "fog-1",
      folder: join(folder, "invited"),
      days: 30,
    })
    const host = (registry: Registry) => ({
      registry,
      name: "authority",
      study: "study 1",
      listen: { host: "127.0.0.1", port: authority.port },
      caFingerprint: study.authority.fingerprint,
      keys: me.keys,
      now: authority.now,
    })
    const times = { now: authority.now }
    try {
      all.west = await authority.join("west")
      done({ enrolled: [...answered.enrolled, "west"] })
      const leader = all.leader as (typeof all)[string]
      const second = studyNumber(2)
      const signed = await proposeStudy(leader.kit, leader.identity, encodeStudy(second), times)
      done({})
      const { folder } = await makeInvitation(host(authority.registry), invitation(authority.folder))
      done({ invited: true })
      authority.kits.set("river", await readKit(folder))
      all.river = await authority.join("river")
      done({ enrolled: [...answered.enrolled, "river"] })
      const { kit, identity, keys } = all.west
      await askToLeave(kit, identity, keys, times)
      done({ left: ["west"] })
      await closeStudy(
        leader.kit,
        leader.identity,
        authority.registry.studies()[1]?.directory.roster.study as never,
        times,
      )
      done({ closed: 1 })
      clock += 25 * DAY
      const certificates = {
        certificate: leader.identity.certificate,
        caCertificate: leader.identity.caCertificate,
      }
      await renewCertificate({ kit: leader.kit, keys: leader.keys, certificates, ...times })
      done({})
      expect(signed.length).toBeGreaterThan(0)
    } finally {
      stop()
    }
    await authority.stop()
    expect(authority.failures).toEqual([])
    expect(crashes.length).toBeGreaterThan(40)

    for (const [i, { folder, answered: before }] of crashes.entries()) {
      const open = async (): Promise<{ registry: Registry; log: ActLog; files: SealedFiles }> => {
        const files = await SealedFiles.open(join(folder, "authority"), study.key)
        const log = await ActLog.open(join(folder, "log"), study.authority.fingerprint, me.keys)
        const registry = await Registry.open({
          authority: await openAuthority({ files, now: authority.now }),
          keys: me.keys,
          files,
          log,
          first: { study: studyNumber(1), participants: SEATS },
          validityDays: 30,
          now: authority.now,
          narrate: () => undefined,
        })
        return { registry, log, files }
      }
      const { registry, log, files } = await open()
      const present = registry.members()
      expect(present.map(({ name }) => name)).toEqual(expect.arrayContaining([...before.enrolled]))
      for (const name of before.left)
        expect(present.find((member) => member.name === name)?.left).not.toBeNull()
      expect(registry.studies().filter(({ closedAt }) => closedAt !== null).length).toBeGreaterThanOrEqual(
        before.closed,
      )
      // every roster that anybody may have seen is still the roster of its version
      for (const [what, digest] of before.served) {
        const [id, version] = what.split(" ") as [string, string]
        const kept = await files.get(`roster.${id}.${version.padStart(10, "0")}`)
        expect([i, what, kept !== null && toHex(sha256(kept.slice(6))) === digest]).toEqual([i, what, true])
      }
      // the newest rosters of open studies are of those who are present
      const names = present.filter(({ left }) => left === null).map(({ name }) => name)
      for (const { closedAt, directory } of registry.studies())
        if (closedAt === null)
          expect(directory.roster.participants.map(({ name }) => name).sort()).toEqual([...names].sort())
      // the log tells it all, each version once
      const entries = await log.entries()
      const rosters = entries
        .filter(({ header }) => header.type === "roster")
        .map(({ body }) => decode(rosterActCodec, body))
      expect(new Set(rosters.map(({ study: of, version }) => `${toHex(of)} ${version}`)).size).toBe(
        rosters.length,
      )
      for (const { id, version, signed } of registry.studies())
        expect(
          rosters.some(
            (one) =>
              toHex(one.study) === id && one.version === version && equalBytes(one.sha256, sha256(signed)),
          ),
        ).toBe(true)
      expect(entries.filter(({ header }) => header.type === "enrolled")).toHaveLength(present.length)
      // the newcomer's kit is there and good, or can be made
      const place = join(folder, "invited", "river")
      const enrolled = names.includes("river")
      expect(existsSync(place) || !before.invited).toBe(true)
      if (!existsSync(place)) await makeInvitation(host(registry), invitation(folder))
      const { token } = await readKit(place)
      const ticket = registry.tickets().find(({ name }) => name === "river")
      expect(equalBytes(ticket?.tokenHash as Uint8Array, tokenHash(token))).toBe(true)
      expect(readdirSync(join(folder, "invited"))).toEqual(
        existsSync(place) && !enrolled ? expect.arrayContaining(["river"]) : ["river"],
      )
      const { head } = log
      await registry.close()
      // started once more, it finds nothing left to do
      const again = await open()
      expect(again.log.head).toEqual(head)
      await again.registry.close()
    }
  })
})

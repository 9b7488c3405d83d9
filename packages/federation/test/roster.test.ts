import { toHex } from "@consilium/base/bytes"
import { describe, expect, it } from "vitest"
import {
  Directory,
  EVERYONE,
  openRoster,
  type Participant,
  participantId,
  type Roster,
  signRoster,
} from "../src/roster.js"
import { routeAt } from "../src/routing.js"
import { encodeStudy, studyDigest } from "../src/study.js"
import { codeOf, textOf } from "./errors.js"
import { directoryOf, flipped, keysFor, participant, rosterOf, suite, testStudy } from "./members.js"

const study = testStudy()
const roster = rosterOf(study, 4, 2)
const directory = directoryOf(study, 4, 2)

const withParticipants = (participants: readonly Participant[]): Roster => ({
  ...roster,
  participants: [...participants].sort((a, b) => (toHex(a.id) < toHex(b.id) ? -1 : 1)),
})
const changed = (name: string, change: Partial<Participant>): Roster =>
  withParticipants(roster.participants.map((p) => (p.name === name ? { ...p, ...change } : p)))
const refusal = (wrong: Roster): string => textOf(() => new Directory(wrong))

describe("who may be in a roster", () => {
  it("one leader, no fewer and no more", () => {
    expect(
      refusal(withParticipants(roster.participants.filter((p) => p.role !== "leader"))),
    ).toMatchInlineSnapshot(`
      "identity/bad-roster: The roster names no leader.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
    expect(
      refusal(withParticipants([...roster.participants, participant("second", "leader")])),
    ).toMatchInlineSnapshot(`
      "identity/bad-roster: The roster names 2 leaders.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
  })

  it("nobody under another's id", () => {
    expect(refusal(changed("clinic-1", { id: participantId("clinic-9") }))).toMatchInlineSnapshot(`
      "identity/bad-roster: The id of clinic-1 does not belong to its name.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
  })

  it("facilities below fogs or the leader, fogs below the leader, nobody above it", () => {
    const direct = new Directory(changed("clinic-1", { parent: participantId("leader") }))
    expect(direct.childToward(direct.leader.id, participantId("clinic-1"))?.name).toBe("clinic-1")
    expect(refusal(changed("clinic-1", { parent: participantId("clinic-2") }))).toMatchInlineSnapshot(`
      "identity/bad-roster: The facility clinic-1 must have a fog or the leader as its parent.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
    expect(refusal(changed("clinic-1", { parent: null }))).toMatchInlineSnapshot(`
      "identity/bad-roster: The facility clinic-1 must have a fog or the leader as its parent.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
    expect(refusal(changed("clinic-1", { parent: participantId("nobody") }))).toMatchInlineSnapshot(`
      "identity/bad-roster: The facility clinic-1 must have a fog or the leader as its parent.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
    expect(refusal(changed("fog-1", { parent: participantId("fog-2") }))).toMatchInlineSnapshot(`
      "identity/bad-roster: The fog fog-1 must have a leader as its parent.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
    expect(refusal(changed("leader", { parent: participantId("fog-1") }))).toMatchInlineSnapshot(`
      "identity/bad-roster: The leader leader must have no parent.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
  })

  it("an authority, which has no parent", () => {
    const authority = participant("authority", "authority")
    expect(new Directory(withParticipants([...roster.participants, authority])).named("authority").role).toBe(
      "authority",
    )
    const below = { ...authority, parent: participantId("leader") }
    expect(refusal(withParticipants([...roster.participants, below]))).toMatchInlineSnapshot(`
      "identity/bad-roster: The authority authority must have no parent.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
  })

  it("nobody twice", () => {
    const twice = {
      ...roster,
      participants: [...roster.participants, participant("clinic-1", "facility", "fog-1")],
    }
    expect(codeOf(() => signRoster(twice, encodeStudy(study), keysFor("authority").sign))).toBe(
      "encoding/bad-value",
    )
  })
})

describe("the tree", () => {
  it("finds by id and by name, and knows nobody else", () => {
    expect(directory.get(participantId("clinic-2")).name).toBe("clinic-2")
    expect(directory.find(participantId("clinic-9"))).toBeUndefined()
    expect(codeOf(() => directory.named("clinic-9"))).toBe("identity/unknown-participant")
  })

  it("numbers the facilities from 1 in the order of their ids", () => {
    expect(directory.facilities.map(({ id }) => directory.pointOf(id))).toEqual([1, 2, 3, 4])
    const ids = directory.facilities.map(({ id }) => toHex(id))
    expect([...ids].sort()).toEqual(ids)
    for (const name of ["leader", "fog-1", "clinic-9"])
      expect(codeOf(() => directory.pointOf(participantId(name)))).toBe("identity/unknown-participant")
  })

  it("knows who is below whom, and the way there", () => {
    const children = (name: string) =>
      directory
        .childrenOf(participantId(name))
        .map((p) => p.name)
        .sort()
    expect(children("leader")).toEqual(["fog-1", "fog-2"])
    expect(children("fog-1")).toEqual(["clinic-1", "clinic-3"])
    expect(children("clinic-1")).toEqual([])
    const toward = (node: string, target: string) =>
      directory.childToward(participantId(node), participantId(target))?.name
    expect(toward("leader", "clinic-2")).toBe("fog-2")
    expect(toward("fog-2", "clinic-2")).toBe("clinic-2")
    expect(toward("fog-1", "clinic-2")).toBeUndefined()
    expect(toward("leader", "leader")).toBeUndefined()
    expect(toward("leader", "nobody")).toBeUndefined()
  })
})

describe("where an envelope goes", () => {
  const way = (at: string, from: string, to: string) => {
    const envelope = { from: participantId(from), to: to === "everyone" ? EVERYONE : participantId(to) }
    const { here, up, down } = routeAt(directory, directory.named(at), envelope)
    return [here ? "here" : "", up ? "up" : "", ...down.map((p) => p.name).sort()].filter(
      (step) => step !== "",
    )
  }

  it("from facility to facility over fogs and leader", () => {
    expect(way("clinic-1", "clinic-1", "clinic-2")).toEqual(["up"])
    expect(way("fog-1", "clinic-1", "clinic-2")).toEqual(["up"])
    expect(way("leader", "clinic-1", "clinic-2")).toEqual(["fog-2"])
    expect(way("fog-2", "clinic-1", "clinic-2")).toEqual(["clinic-2"])
    expect(way("clinic-2", "clinic-1", "clinic-2")).toEqual(["here"])
    expect(way("fog-1", "clinic-1", "clinic-3")).toEqual(["clinic-3"])
  })

  it("from facility to facility over the leader alone, where there is no fog", () => {
    const flat = directoryOf(study, 4, 0)
    const hop = (at: string) => {
      const envelope = { from: participantId("clinic-1"), to: participantId("clinic-2") }
      const { here, up, down } = routeAt(flat, flat.named(at), envelope)
      return { here, up, down: down.map((p) => p.name) }
    }
    expect(hop("clinic-1")).toEqual({ here: false, up: true, down: [] })
    expect(hop("leader")).toEqual({ here: false, up: false, down: ["clinic-2"] })
    expect(hop("clinic-2")).toEqual({ here: true, up: false, down: [] })
    const everyone = routeAt(flat, flat.leader, { from: flat.leader.id, to: EVERYONE })
    expect(everyone.down.map((p) => p.name).sort()).toEqual(["clinic-1", "clinic-2", "clinic-3", "clinic-4"])
  })

  it("to everyone only from the leader", () => {
    expect(way("leader", "leader", "everyone")).toEqual(["fog-1", "fog-2"])
    expect(way("fog-1", "leader", "everyone")).toEqual(["here", "clinic-1", "clinic-3"])
    expect(way("clinic-1", "leader", "everyone")).toEqual(["here"])
    for (const from of ["clinic-1", "fog-1"])
      for (const at of ["leader", "fog-1", "clinic-3"]) expect(way(at, from, "everyone")).toEqual([])
  })

  it("to nobody who is not enrolled", () => {
    for (const at of ["leader", "fog-1", "clinic-1"]) expect(way(at, "clinic-1", "nobody")).toEqual([])
  })
})

describe("a signed roster", () => {
  const authority = keysFor("authority")
  const signed = signRoster(roster, encodeStudy(study), authority.sign)

  it("gives the directory and the study", () => {
    const opened = openRoster(suite, authority.signingKey, signed)
    expect(opened.directory.facilities.map((p) => p.name)).toEqual(directory.facilities.map((p) => p.name))
    expect(opened.study).toEqual(encodeStudy(study))
    expect(opened.directory.roster.study).toEqual(studyDigest(study))
  })

  it("of another authority is refused", () => {
    expect(textOf(() => openRoster(suite, keysFor("leader").signingKey, signed))).toMatchInlineSnapshot(`
      "identity/bad-roster: The roster is not signed by the authority of the kit.
        remedy: Ask the authority for the roster again and compare the fingerprint in the kit with the one it publishes.
        see: docs/reference/errors.md#identitybad-roster"
    `)
  })

  it("with a bit turned over, in the roster, the study or the signature, is refused", () => {
    for (let i = 0; i < 60; i++) {
      const bit = Math.floor((i * 8 * signed.length) / 60)
      expect(codeOf(() => openRoster(suite, authority.signingKey, flipped(signed, bit)))).toMatch(
        /^(identity\/bad-roster|encoding\/(malformed|too-large))$/,
      )
    }
  })

  it("does not go with another study", () => {
    const other = signRoster(roster, encodeStudy(testStudy(4, { rounds: 99 })), authority.sign)
    const { length } = encodeStudy(study)
    const mixed = signed.slice()
    mixed.set(other.subarray(signed.length - 64 - length, signed.length - 64), signed.length - 64 - length)
    expect(codeOf(() => openRoster(suite, authority.signingKey, mixed))).toBe("identity/bad-roster")
  })
})

import { decode } from "@consilium/base/encoding"
import { ROTATION_ASKED, type RotationAsked, rotationCodec } from "@consilium/federation/leader-keys"
import type { LeaderState } from "@consilium/federation/leader-state"
import { afterEach, describe, expect, it } from "vitest"
import type { StudyChanges } from "../../federation/test/members.js"
import { rotationAnswerSchema } from "../src/api/key-schemas.js"
import { ROUTES } from "../src/api/routes.js"
import { StudyViews } from "../src/api/study-views.js"
import { rotateKeys } from "../src/roles/rotate-keys.js"
import { type Answer, type Ask, ask, bearer, serveTest, type TestApi } from "./api-server.js"
import { RunningLeader } from "./running-leader.js"

const REASON = "a laptop was lost"
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A leader whose first ceremony is under way. */
const beginning = async (changes: StudyChanges = {}): Promise<RunningLeader> => {
  const leader = await RunningLeader.begin({ name: "with keys", protection: "ckks", rounds: 3, ...changes })
  closing.push(() => leader.close())
  return leader
}
const served = async (changes: StudyChanges = {}) => {
  const leader = await beginning(changes)
  const server: TestApi = await serveTest()
  closing.push(() => server.close())
  server.leader.all.push(leader.handle)
  return { server, leader }
}
const rotating = (id: string, body: object, headers: Readonly<Record<string, string>> = {}): Ask => ({
  method: "POST",
  path: ROUTES.rotateKeys.path.replace(":id", id),
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
})
const json = ({ text }: Answer) => JSON.parse(text)
const wishes = async ({ handle }: RunningLeader): Promise<readonly RotationAsked[]> => {
  const found: RotationAsked[] = []
  for await (const { header, body } of handle.entries())
    if (header.type === ROTATION_ASKED) found.push(decode(rotationCodec, body))
  return found
}

describe("POST /v1/studies/{id}/keys/rotate", () => {
  it("asks for new keys before the next round, once however often it is asked", async () => {
    const { server, leader } = await served()
    const { id } = leader.handle
    const answer = await ask(server.url, rotating(id, { reason: REASON }))
    expect(answer.status).toBe(202)
    const why = `loopback asked for it: ${REASON}`
    const first = rotationAnswerSchema.parse(json(answer))
    // the ceremony under way may have begun before the laptop was lost: round 1 waits for another
    expect(first).toEqual({ id, name: "with keys", epoch: 0, beforeRound: 1, asked: true, why })
    const events = leader.handle.length
    const again = await ask(server.url, rotating(id.slice(0, 16), { reason: "another" }))
    expect([again.status, json(again)]).toEqual([202, { ...first, asked: false }])
    expect(leader.handle.length).toBe(events)
    expect(await wishes(leader)).toEqual([{ by: "loopback", reason: REASON }])
    const { keys } = await new StudyViews().of(leader.handle)
    expect(keys).toMatchObject({ wanted: why, ceremonies: [{ epoch: 1, phase: "collecting" }] })
    const told = json(await ask(server.url, { path: `/v1/studies/${id}/events` }))
    expect(told.events.at(-1)).toMatchObject({
      type: ROTATION_ASKED,
      says: `loopback asked for new keys before the next round: ${REASON}`,
    })
  })

  it("is remembered by a leader that starts again", async () => {
    const leader = await beginning()
    await leader.handle.rotateKeys({ by: "A. Okafor", reason: REASON })
    await leader.open()
    expect(await leader.handle.rotateKeys({ by: "another", reason: "another" })).toMatchObject({
      asked: false,
      why: `A. Okafor asked for it: ${REASON}`,
    })
    expect(await wishes(leader)).toHaveLength(1)
  })

  it("gives a repetition with the same key the first answer, and refuses the key for anything else", async () => {
    const { server, leader } = await served()
    const { id } = leader.handle
    const key = { "idempotency-key": "k-1" }
    const first = await ask(server.url, rotating(id, { reason: REASON }, key))
    const again = await ask(server.url, rotating(id, { reason: REASON }, key))
    expect([again.status, json(again)]).toEqual([202, json(first)])
    expect(json(again).asked).toBe(true)
    const other = await ask(server.url, rotating(id, { reason: "another" }, key))
    expect([other.status, json(other).title]).toEqual([422, "api/key-reused"])
    expect(await wishes(leader)).toHaveLength(1)
  })

  it("logs who asked by what the leader knows them by, with the name that they gave", async () => {
    for (const [body, by] of [
      [{ reason: REASON }, "token operator"],
      [{ reason: REASON, by: "A. Okafor" }, "A. Okafor (token operator)"],
      [{ reason: REASON, by: "é".repeat(32) }, "é".repeat(32)],
    ] as const) {
      const { server, leader } = await served()
      await ask(server.url, rotating(leader.handle.id, body, bearer("operator")))
      expect(await wishes(leader)).toEqual([{ by, reason: REASON }])
    }
  })

  it("is for those who may start studies", async () => {
    const { server, leader } = await served()
    for (const role of ["reader", "auditor"]) {
      const refused = await ask(server.url, rotating(leader.handle.id, { reason: REASON }, bearer(role)))
      expect([role, refused.status, json(refused).title]).toEqual([role, 403, "api/forbidden"])
    }
    expect(await wishes(leader)).toEqual([])
  })

  it("refuses a study without keys and one that is over, and changes nothing", async () => {
    const { server, leader } = await served({ protection: "shamir" })
    const none = await ask(server.url, rotating(leader.handle.id, { reason: REASON }))
    expect([none.status, json(none)]).toMatchObject([
      409,
      {
        title: "keys/none",
        detail: "The study with keys is protected by shamir, which has no keys that could be changed.",
      },
    ])
    const keyed = await beginning()
    server.leader.all.push(keyed.handle)
    await keyed.handle.stop({ by: "A. Okafor", reason: "it is not needed" }, "a test")
    const { length } = keyed.handle
    const over = await ask(server.url, rotating(keyed.handle.id, { reason: REASON }))
    expect([over.status, json(over)]).toMatchObject([
      409,
      { title: "keys/no-round", detail: "The study with keys is over; its keys are destroyed." },
    ])
    expect(keyed.handle.length).toBe(length)
  })
})

describe("the round that begins with new keys", () => {
  const at = async (
    change: (state: Extract<LeaderState, { attempt: object }>) => LeaderState,
    rounds = 3,
  ): Promise<{ readonly beforeRound: number; readonly posted: number }> => {
    const { machine } = await beginning({ rounds })
    const { state } = machine
    if (!("attempt" in state)) throw new Error("No attempt is under way.")
    let posted = 0
    const runner = {
      id: "ab".repeat(32),
      over: false,
      post: async () => {
        posted += 1
      },
    }
    const own = { runner, machine: { study: machine.study, state: change(state) } }
    const { beforeRound } = await rotateKeys(own as unknown as Parameters<typeof rotateKeys>[0], {
      by: "A. Okafor",
      reason: REASON,
    })
    return { beforeRound, posted }
  }
  type InAttempt = Extract<LeaderState, { attempt: object }>
  const pending =
    (round: number, attempt: number) =>
    (state: InAttempt): LeaderState => ({
      ...state,
      progress: {
        ...state.progress,
        keys: { ...state.progress.keys, pending: { purpose: "update", round, attempt } },
      },
    })
  const under =
    (round: number) =>
    (state: InAttempt): LeaderState => ({
      ...state,
      attempt: { ...state.attempt, spec: { ...state.attempt.spec, purpose: "update", round } },
      progress: { ...state.progress, keys: { ...state.progress.keys, pending: null } },
    })

  it("is the first, before the study has begun", async () => {
    expect(await at(({ progress }) => ({ phase: "announced", progress }))).toEqual({
      beforeRound: 1,
      posted: 1,
    })
  })
  it("is the one that waits for a ceremony under way, unless it is redone", async () => {
    expect((await at(pending(2, 1))).beforeRound).toBe(2)
    expect((await at(pending(2, 2))).beforeRound).toBe(3)
  })
  it("is the one after the round under way", async () => {
    expect((await at(under(1))).beforeRound).toBe(2)
    expect((await at(under(2))).beforeRound).toBe(3)
  })
  it("is none where the last round is under way, or over", async () => {
    await expect(at(under(3))).rejects.toMatchObject({
      code: "keys/no-round",
      message: "Round 3 of 3 of the study with keys is under way: no round follows that could have new keys.",
    })
    await expect(at(pending(3, 2))).rejects.toMatchObject({ code: "keys/no-round" })
    await expect(at(under(1), 1)).rejects.toMatchObject({ code: "keys/no-round" })
    await expect(at(({ progress }) => ({ phase: "aborted", progress, reason: "" }))).rejects.toMatchObject({
      code: "keys/no-round",
    })
  })
})

describe("models of a study with keys", () => {
  it("are looked for past its ceremonies, which have none", async () => {
    const leader = await beginning()
    await expect(leader.handle.model("0".repeat(64))).rejects.toMatchObject({ code: "store/missing" })
  })
})

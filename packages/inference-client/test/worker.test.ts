import { Asker } from "@consilium/inference/client/asker"
import { ModelServer } from "@consilium/inference/server/model-server"
import { InferenceClient } from "@consilium/inference-client/client"
import { serveKeys } from "@consilium/inference-client/worker/key-service"
import type { MessageEnd, TaskMessage } from "@consilium/inference-client/worker/messages"
import { WorkerAsker } from "@consilium/inference-client/worker/worker-asker"
import { afterEach, describe, expect, it } from "vitest"
import { ModelHost } from "./model-host.js"
import { compiledOf, KINDS, plainOf, SOMEBODY } from "./models.js"
import { refusalFrom } from "./refusals.js"

const NONCE = new Uint8Array(32).fill(3)

const closers: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A page's end and a worker's, with all that passes between them: real structured clones over a channel. */
const pair = () => {
  const { port1, port2 } = new MessageChannel()
  const messages: unknown[] = []
  const listened = (port: typeof port1): MessageEnd => ({
    postMessage: (message, transfer) => {
      messages.push(structuredClone(message))
      port.postMessage(message, transfer)
    },
    addEventListener: (type, listener) =>
      port.addEventListener(type, (event) => listener(event as MessageEvent)),
  })
  serveKeys(listened(port2))
  const keys = new WorkerAsker(listened(port1), () => port1.close())
  for (const port of [port1, port2]) port.start()
  closers.push(() => keys.close())
  return { keys, messages }
}

/** Every text and number in a message, at any depth. */
const leavesOf = (value: unknown): readonly unknown[] => {
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array)
  if (typeof value !== "object" || value === null) return [value]
  return Object.values(value).flatMap(leavesOf)
}

describe.each(KINDS)("keys in a worker, for a plan, %s", (kind) => {
  const compiled = compiledOf(kind)

  it("predict what the model itself says", async () => {
    const host = await ModelHost.start("heart", compiled)
    closers.push(() => host.close())
    const { keys } = pair()
    const client = await InferenceClient.connect(host.address, { model: "heart", keys })
    await client.prepare()
    const { logit } = await client.predict(SOMEBODY)
    client.close()
    expect(Math.abs(logit - plainOf(kind, SOMEBODY))).toBeLessThan(compiled.plan.errorBound)
  })

  it("tell the page nothing that opens an answer, and are told nothing of a patient", async () => {
    const { keys, messages } = pair()
    const asker = new Asker(compiled.plan)
    const server = new ModelServer(compiled)
    const place = await keys.keysFor(asker)
    const upload = asker.prepared.takesKey ? await place.newKey(NONCE) : null
    const given = upload === null ? {} : { key: server.readKey(NONCE, upload.bytes) }
    const held = await place.blank()
    const request = asker.fill(held.blank, [SOMEBODY])
    const [prediction] = await held.open(server.answer(request, given), 1)

    const tasks = messages.filter((message): message is TaskMessage => "task" in (message as object))
    expect(tasks.map(({ task }) => task)).toEqual([
      "begin",
      ...(upload === null ? [] : ["key"]),
      "blank",
      "open",
    ])
    // the fields of all tasks; those of "begin" are the public plan's bytes, those of "open" the server's answer
    expect([...new Set(tasks.flatMap((task) => Object.keys(task)))].sort()).toEqual(
      [
        "answer",
        "blank",
        "id",
        "patients",
        "place",
        "plan",
        "task",
        ...(upload === null ? [] : ["nonce"]),
      ].sort(),
    )
    const sent = tasks.flatMap((task) => leavesOf(task))
    for (const value of Object.values(SOMEBODY))
      if (typeof value === "string" || (typeof value === "number" && !Number.isInteger(value)))
        expect(sent).not.toContain(value)
    const replies = messages.filter((message) => "reply" in (message as object))
    const told = replies.flatMap((reply) => leavesOf(reply))
    expect(told).toContain(prediction?.logit)
    // a ternary secret, however it is written, is a long run of at most three different numbers
    const arrays = replies.flatMap(function found(value): readonly ArrayLike<number>[] {
      if (ArrayBuffer.isView(value)) return [value as unknown as ArrayLike<number>]
      return typeof value === "object" && value !== null ? Object.values(value).flatMap(found) : []
    })
    for (const array of arrays)
      if (array.length >= 1024) expect(new Set(Array.from(array)).size).toBeGreaterThan(200)
  })
})

describe("a worker", () => {
  const compiled = compiledOf("shared")
  const asker = new Asker(compiled.plan)
  const server = new ModelServer(compiled)

  it("opens an answer once, and not one to a blank that was thrown away", async () => {
    const { keys } = pair()
    const place = await keys.keysFor(asker)
    const [one, two] = [await place.blank(), await place.blank()]
    const answer = server.answer(asker.fill(one.blank, [SOMEBODY]))
    await one.open(answer, 1)
    expect((await refusalFrom(one.open(answer, 1))).code).toBe("inference/bad-answer")
    const other = server.answer(asker.fill(two.blank, [SOMEBODY]))
    two.discard()
    expect((await refusalFrom(two.open(other, 1))).code).toBe("inference/bad-answer")
  })
  it("tells why it refuses, as the own thread would", async () => {
    const { keys } = pair()
    const place = await keys.keysFor(asker)
    const held = await place.blank()
    asker.fill(held.blank, [SOMEBODY])
    const { code, remedy } = await refusalFrom(held.open(new Uint8Array(7), 1))
    expect([code, remedy.length > 0]).toEqual(["inference/malformed", true])
    const kept = await keys.keysFor(new Asker(compiledOf("kept").plan))
    expect((await refusalFrom(kept.blank())).code).toBe("inference/unknown-key")
  })
  it("erases the keys of a plan that is over, and keeps the others", async () => {
    const { keys } = pair()
    const [old, now] = [await keys.keysFor(asker), await keys.keysFor(asker)]
    const held = await old.blank()
    const answer = server.answer(asker.fill(held.blank, [SOMEBODY]))
    old.close()
    expect((await refusalFrom(held.open(answer, 1))).code).toBe("inference/client-closed")
    expect((await now.blank()).blank.requestId).toHaveLength(32)
  })
  it("that was ended refuses those who wait and those who come", async () => {
    const { keys } = pair()
    const place = await keys.keysFor(asker)
    const waiting = refusalFrom(place.blank())
    keys.close()
    expect((await waiting).code).toBe("inference/worker-ended")
    expect((await refusalFrom(place.blank())).code).toBe("inference/worker-ended")
  })
})

import { request as http, type IncomingMessage } from "node:http"
import { request as https } from "node:https"
import { ConsiliumError } from "@consilium/base/errors"
import { eventSchema } from "@consilium/node/api/schemas"
import type { EventView } from "@consilium/node/api/study-view"
import { approachOf, type Leader, refusalOf } from "./study-api.js"

/** The leader sends a sign of life every 15 s; whoever hears nothing for so long has lost it. */
const SILENCE_MS = 45_000
const LONGEST_BLOCK = 1 << 20
const LONGEST_REFUSAL = 64 << 10

/** One connection's server-sent events: an event as the leader tells it, and the id to resume after. */
export interface Told {
  readonly id: string
  readonly event: EventView
}

/** The blocks of a stream of events, without comments; each as its fields. */
class Blocks {
  #text = ""

  /** @throws {ConsiliumError} "api/failed" on a block that has no end */
  take(text: string): readonly ReadonlyMap<string, string>[] {
    this.#text += text
    const parts = this.#text.split(/\r?\n\r?\n/)
    this.#text = parts.pop() ?? ""
    if (this.#text.length > LONGEST_BLOCK)
      throw new ConsiliumError("api/failed", "The stream of events holds one that is too long.")
    return parts.map(
      (block) =>
        new Map(
          block.split(/\r?\n/).flatMap((line): [string, string][] => {
            const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? []
            return name === "" ? [] : [[name, value]]
          }),
        ),
    )
  }
}

const connect = async (
  leader: Leader,
  path: string,
  after: string,
  signal: AbortSignal,
): Promise<IncomingMessage> => {
  const { url, headers, ca } = await approachOf(leader, path)
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? https : http)(
      url,
      {
        agent: false,
        signal,
        timeout: SILENCE_MS,
        ...(ca === undefined ? {} : { ca }),
        headers: { ...headers, accept: "text/event-stream", "last-event-id": after },
      },
      resolve,
    )
    request.on("timeout", () => request.destroy(new Error("nothing was heard in time")))
    request.on("error", reject)
    request.end()
  })
}

const refused = async (leader: Leader, response: IncomingMessage): Promise<ConsiliumError> => {
  let text = ""
  for await (const part of response) {
    text += String(part)
    if (text.length > LONGEST_REFUSAL) break
  }
  return refusalOf(leader.leader, response.statusCode ?? 0, text)
}

/**
 * The events of a study over one connection, after the position `after`; it ends when the connection does, however that is.
 * @throws {ConsiliumError} what the leader refuses with
 */
export async function* eventsOf(
  leader: Leader,
  study: string,
  after: string,
  signal: AbortSignal,
): AsyncGenerator<Told> {
  let response: IncomingMessage
  try {
    response = await connect(leader, `/v1/events?study=${study}`, after, signal)
  } catch (error) {
    if (error instanceof ConsiliumError) throw error
    // nobody answers: the same to a reader as a connection that ends at once
    return
  }
  if (response.statusCode !== 200) throw await refused(leader, response)
  const blocks = new Blocks()
  response.setEncoding("utf8")
  try {
    for await (const part of response)
      for (const fields of blocks.take(String(part))) {
        const data = fields.get("data")
        if (data === undefined) continue
        yield { id: fields.get("id") ?? "", event: eventIn(data) }
      }
  } catch (error) {
    if (error instanceof ConsiliumError) throw error
    // cut off: the reader comes again
  } finally {
    response.destroy()
  }
}

/** @throws {ConsiliumError} "api/failed" */
const eventIn = (data: string): EventView => {
  try {
    return eventSchema.parse(JSON.parse(data))
  } catch (cause) {
    throw new ConsiliumError("api/failed", "The stream of events holds something that is no event.", {
      cause,
    })
  }
}

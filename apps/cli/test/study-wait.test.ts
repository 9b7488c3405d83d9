import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { connect, createServer, type Socket } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { serveTest, type TestApi, until } from "../../../packages/node/test/api-server.js"
import { LoggedStudy, ran } from "../../../packages/node/test/api-study.js"
import { consilium, type Ran } from "./in-process.js"

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const ROUNDS = 3
const SHAPE = { study: { protection: "plain", rounds: ROUNDS, name: "followed" } } as const
const outcome = ran(SHAPE)
const STOPPED = { during: 2, after: 15 } as const
/** The number of the log's nth event of a type. */
const eventOf = (type: string, nth = 1): number =>
  outcome.log.filter(({ header }) => header.type === type)[nth - 1]?.header.seq as number

/** A leader whose study is shown so far. */
const showing = async (
  shown: number,
  shape: Parameters<typeof ran>[0] = SHAPE,
): Promise<{ readonly server: TestApi; readonly study: LoggedStudy }> => {
  const server = await serveTest()
  closing.push(() => server.close())
  const made = ran(shape)
  const study = new LoggedStudy(made, [made.directory], shown)
  server.leader.all.push(study)
  return { server, study }
}
const waiting = (url: string, ...more: readonly string[]): Promise<Ran> =>
  consilium("study", "wait", "--leader", url, "--study", "followed", ...more)

/** Passes a connection on to the API, until it is cut; keeps what the clients ask for. */
class Wire {
  readonly asked: string[] = []
  readonly #open = new Set<Socket>()
  readonly #server = createServer((client) => this.#pass(client))
  readonly #target: { readonly host: string; readonly port: number }
  #broken = false

  private constructor(target: URL) {
    this.#target = { host: target.hostname, port: Number(target.port) }
  }

  static async to(url: string): Promise<Wire> {
    const wire = new Wire(new URL(url))
    wire.#server.listen(0, "127.0.0.1")
    await once(wire.#server, "listening")
    closing.push(async () => {
      wire.cut()
      await new Promise((resolve) => wire.#server.close(resolve))
    })
    return wire
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  #pass(client: Socket): void {
    const leader = connect(this.#target)
    for (const [one, other] of [
      [client, leader],
      [leader, client],
    ] as const) {
      this.#open.add(one)
      one.on("error", () => other.destroy())
      one.on("close", () => {
        this.#open.delete(one)
        other.destroy()
      })
    }
    if (this.#broken) client.destroy()
    client.on("data", (part: Buffer) => {
      this.asked.push(part.toString("latin1"))
      // the leader takes requests for its own address only
      leader.write(
        part.toString("latin1").replace(/^host: .*$/im, `host: 127.0.0.1:${this.#target.port}`),
        "latin1",
      )
    })
    leader.on("data", (part) => client.write(part))
  }

  cut(): void {
    for (const socket of this.#open) socket.destroy()
  }
  break(): void {
    this.#broken = true
    this.cut()
  }

  /** Where each stream of events was to begin. */
  get streams(): readonly string[] {
    return this.asked.flatMap((request) =>
      request.startsWith("GET /v1/events?")
        ? [/^last-event-id: (.*)$/im.exec(request)?.[1]?.trim() ?? ""]
        : [],
    )
  }
}

describe("study wait", () => {
  it("follows a study to its end, with a line for each round", async () => {
    const { server, study } = await showing(eventOf("announce"))
    const ended = waiting(server.url)
    for (let shown = study.length; shown < outcome.log.length; shown += 4) {
      await until(() => study.waiting > 0)
      study.grow(4)
    }
    const { code, stdout, stderr } = await ended
    expect([code, stderr]).toEqual([0, ""])
    const hashes = outcome.leader.progress.closed.map(({ model }) => Buffer.from(model).toString("hex"))
    const lines = stdout.trimEnd().split("\n")
    expect(lines[0]).toBe("followed is running: 0 of 3 rounds closed")
    expect(lines.slice(1, 4)).toEqual(
      hashes.map((hash, i) =>
        expect.stringMatching(
          `^round ${i + 1} of 3 closed: 4 facilities, model ${hash.slice(0, 16)}, \\d+\\.\\d s, mean AUC [01]\\.\\d{3} at 4$`,
        ),
      ),
    )
    expect(lines.slice(4)).toEqual([
      "What was waited for has come: followed is complete, 3 of 3 rounds closed",
      `  model  ${hashes[2]}`,
    ])
  })

  it("waits for one round, and says in JSON on stdout how it ended", async () => {
    const { server, study } = await showing(eventOf("announce"))
    const ended = waiting(server.url, "--until", "round", "2", "--format", "json")
    await until(() => study.waiting > 0)
    study.grow(eventOf("closed", 2) - study.length)
    const { code, stdout, stderr } = await ended
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      id: study.id,
      name: "followed",
      ending: "closed",
      until: 2,
      state: "running",
      reason: null,
      closedRounds: 2,
      plannedRounds: 3,
    })
    expect(stderr).toContain("round 1 of 3 closed")
    // what is there already need not be waited for
    const again = await waiting(server.url, "--until", "round 1")
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("2 of 3 rounds closed")])
  })

  it("comes back after a connection that broke, to where it was, and misses nothing", async () => {
    const { server, study } = await showing(eventOf("announce"))
    const wire = await Wire.to(server.url)
    const ended = waiting(wire.url)
    await until(() => study.waiting > 0)
    study.grow(eventOf("closed") - study.length)
    await until(() => study.waiting > 0)
    const seen = study.length
    wire.cut()
    study.grow(eventOf("closed", 2) - study.length)
    await until(() => wire.streams.length === 2)
    await until(() => study.waiting > 0)
    study.grow()
    const { code, stdout } = await ended
    expect(code).toBe(0)
    const short = study.id.slice(0, 16)
    expect(wire.streams).toEqual([`${short}:${eventOf("announce")}`, `${short}:${seen}`])
    for (const round of [1, 2, 3]) expect(stdout.split(`round ${round} of 3 closed`)).toHaveLength(2)
    expect(stdout).toContain("the connection to the leader is gone; trying again")
  })

  it("ends with 8 when the study is stopped, and says why", async () => {
    const shape = { ...SHAPE, stops: [STOPPED] }
    const { server, study } = await showing(1, shape)
    const ended = waiting(server.url)
    await until(() => study.waiting > 0)
    study.grow()
    const { code, stdout } = await ended
    expect(code).toBe(8)
    expect(stdout).toContain("round 2, attempt 1 is void: Stopped by R. Person after 1 closed round")
    expect(stdout).toContain(
      "The study ended before it was complete: followed is aborted, 1 of 3 rounds closed. Stopped by R. Person after 1 closed round: the labels of one facility are wrong",
    )
    // a study that is over is not waited for
    expect((await waiting(server.url, "--format", "json")).code).toBe(8)
  })

  it("ends with 9 when the time is up", async () => {
    const { server } = await showing(eventOf("announce"))
    const { code, stdout } = await waiting(server.url, "--timeout", "1", "--format", "json")
    expect([code, JSON.parse(stdout)]).toMatchObject([9, { ending: "timeout", closedRounds: 0 }])
  })

  it("gives up on a leader that stays away, and on one that never was there", async () => {
    const { server, study } = await showing(eventOf("announce"))
    const wire = await Wire.to(server.url)
    const ended = waiting(wire.url, "--patience", "1")
    await until(() => study.waiting > 0)
    wire.break()
    const { code, stderr } = await ended
    expect([code, stderr]).toEqual([5, expect.stringContaining("network/unreachable")])
    expect((await waiting("http://127.0.0.1:1")).code).toBe(5)
  }, 30_000)

  it("refuses what cannot come", async () => {
    const { server } = await showing(eventOf("announce"))
    const beyond = await waiting(server.url, "--until", "round", "4")
    expect([beyond.code, beyond.stderr]).toEqual([
      2,
      expect.stringContaining("has 3 rounds; round 4 never comes"),
    ])
    for (const words of [["never"], ["round"], ["round", "0"], ["round", "two"], ["end", "3"]])
      expect((await waiting(server.url, "--until", ...words)).code).toBe(2)
    expect((await consilium("study", "wait", "--leader", server.url, "--study", "none")).code).toBe(5)
  })
})

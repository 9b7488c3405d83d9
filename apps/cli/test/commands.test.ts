import { once } from "node:events"
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { studyListSchema } from "@consilium/node/api/schemas"
import type { Command } from "commander"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  auditedOutcome,
  auditedStudy,
  configOf,
  firstRoster,
  keepLog,
  layOut,
} from "../../../packages/node/test/audit-study.js"
import { temporaryFolder } from "../../../packages/node/test/store-children.js"
import { columns, print } from "../src/commands/printed.js"
import { callLeader } from "../src/commands/study-api.js"
import { commandLine, main } from "../src/main.js"

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command line in this process. */
const consilium = async (...args: readonly string[]): Promise<Ran> => {
  const said = { stdout: "", stderr: "" }
  const kept = { stdout: process.stdout.write, stderr: process.stderr.write }
  for (const stream of ["stdout", "stderr"] as const)
    process[stream].write = (text) => {
      said[stream] += String(text)
      return true
    }
  try {
    return { code: await main(args), ...said }
  } finally {
    process.stdout.write = kept.stdout
    process.stderr.write = kept.stderr
  }
}
/** The code and exit code of a command line that is to fail. */
const refused = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await consilium(...args)
  expect(stdout).toBe("")
  return `${code} ${stderr.split(/:| \(/)[0]?.trim()}`
}

const leaves = (command: Command, name = ""): readonly (readonly [string, Command])[] =>
  command.commands.length === 0
    ? [[name, command] as const]
    : command.commands.flatMap((one) => leaves(one, `${name} ${one.name()}`.trim()))
const COMMANDS = leaves(commandLine())

const helpOf = (command: Command): string => {
  let text = ""
  command.configureOutput({
    writeOut: (part) => {
      text += part
    },
  })
  command.outputHelp()
  return text
}

describe("every command", () => {
  it.each(COMMANDS)("%s says what it does, with an example, and has --format json", (name, command) => {
    const help = helpOf(command)
    expect(help).toMatch(new RegExp(`Examples?:\n  consilium ${name.split(" ")[0]}`))
    expect(command.description().length).toBeGreaterThan(20)
    const format = command.options.find(({ long }) => long === "--format")
    expect(format?.argChoices).toEqual(["text", "json"])
    expect(format?.defaultValue).toBe("text")
  })

  it("is in the reference, and nothing else is", async () => {
    const page = await readFile(new URL("../../../docs/reference/cli.md", import.meta.url), "utf8")
    const [, table = ""] = page.split("|---|---|\n")
    const rows = (table.split("\n\n")[0] as string).split("\n")
    const named = rows.flatMap((row) =>
      [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    )
    expect(named.sort()).toEqual(COMMANDS.map(([name]) => name).sort())
  })

  it("refuses words that it does not know, and words that go not together", async () => {
    const leader = ["--config", "leader.yaml"]
    for (const args of [
      ["model"],
      ["model", "list"],
      ["model", "show", ...leader, "--round", "0"],
      ["model", "show", ...leader, "--round", "1", "--hash", "0123456789ab"],
      ["model", "show", ...leader, "--hash", "xyz"],
      ["model", "export", ...leader],
      ["model", "rollback", ...leader, "--round", "1", "--by", "A"],
      ["model", "rollback", ...leader, "--reason", "why", "--by", "A"],
      ["join", "--authority", "authority.yaml", "--parent", "fog-1", "--out", "x"],
      [
        "join",
        "river",
        "--authority",
        "authority.yaml",
        "--parent",
        "fog-1",
        "--out",
        "x",
        "--role",
        "leader",
      ],
      ["join", "river", "--authority", "authority.yaml", "--parent", "fog-1", "--out", "x", "--days", "900"],
      ["leave"],
      ["members"],
      ["approvals", "approve", "--config", "facility.yaml"],
      ["study", "start", "--leader", "http://127.0.0.1:1"],
      ["study", "start", "--leader", "http://127.0.0.1:1", "--privacy", "mpc", "--file", "study.yaml"],
      ["study", "start", "--leader", "http://127.0.0.1:1", "--privacy", "all"],
      ["status"],
      ["doctor", "--confg", "x"],
    ]) {
      const { code, stdout } = await consilium(...args)
      expect(`${args.join(" ")}: ${code} ${stdout}`).toBe(`${args.join(" ")}: 2 `)
    }
  })
})

describe("what is printed", () => {
  it("moves no cursor, whoever wrote it", async () => {
    let text = ""
    const { write } = process.stdout
    process.stdout.write = (part) => {
      text += String(part)
      return true
    }
    try {
      print("text", null, ["a\u001b[2Jb\u202ec", "d\ne"])
      print("json", { a: "\u001b" }, [])
    } finally {
      process.stdout.write = write
    }
    expect(text).toBe('a?[2Jb?c\nd\ne\n{"a":"\\u001b"}\n')
    expect(columns(["a", "long"], [["wide", "x"]])).toEqual(["a     long", "wide  x"])
  })
})

let folder = ""
let remove: () => Promise<void> = async () => undefined
beforeAll(async () => {
  const made = await temporaryFolder("commands")
  folder = made.path
  remove = made.remove
  await layOut(folder, ["leader", "clinic-1"])
  await writeFile(configOf(folder, "clinic-1"), "records: { format: heart-csv, file: records.csv }\n")
  await keepLog(folder, "segments", { study: auditedStudy, roster: firstRoster, log: auditedOutcome.log })
})
afterAll(() => remove())

describe("roles that do not run", () => {
  it("show their models, and say so where they would have to be asked", async () => {
    const leader = configOf(folder, "leader")
    const clinic = configOf(folder, "clinic-1")
    const [first, second] = auditedOutcome.leader.progress.closed.map(({ model }) => toHex(model))
    const list = await consilium("model", "list", "--config", leader)
    expect(list.code).toBe(0)
    expect(list.stdout).toMatch(
      new RegExp(`^Models of the study audited .*\n.*\n  1 .*${first}\n  2 .*${second}  in use\n$`),
    )
    const show = await consilium("model", "show", "--config", leader, "--round", "1", "--format", "json")
    expect(JSON.parse(show.stdout).model).toMatchObject({ round: 1, hash: first, released: false })
    const card = await consilium("model", "card", "--config", leader)
    expect(card.stdout).toMatch(/^# Model card: audited, round 2\n/)
    const to = join(folder, "model.consilium")
    expect((await consilium("model", "export", "--config", leader, "--to", to)).stdout).toContain(
      `  model hash    ${second}`,
    )
    expect(await refused("model", "show", "--config", leader, "--round", "7")).toBe("3 model/not-found")
    expect(await refused("model", "list", "--config", clinic)).toBe("2 config/invalid")
    for (const config of [leader, clinic])
      expect(await refused("status", "--config", config)).toBe("5 admin/not-running")
    expect(await refused("approvals", "list", "--config", clinic)).toBe("5 admin/not-running")
    expect(await refused("approvals", "list", "--config", leader)).toBe("5 admin/not-running")
    expect(await refused("leave", "--config", clinic)).toBe("5 identity/not-enrolled")
    expect(await refused("leave", "--config", leader)).toBe("2 config/invalid")
    expect(await refused("members", "--authority", join(folder, "none.yaml"))).toBe("2 config/unreadable")
  })

  it("are examined one by one, in one JSON value", async () => {
    const { code, stdout } = await consilium(
      "doctor",
      "--config",
      join(folder, "none.yaml"),
      "--format",
      "json",
    )
    const { healthy, checks } = JSON.parse(stdout)
    expect(healthy).toBe(false)
    expect(checks.at(-1)).toMatchObject({
      id: "configuration",
      verdict: "problem",
      code: "config/unreadable",
    })
    expect(code).toBe(2)
    const text = await consilium("doctor", "--config", join(folder, "none.yaml"))
    expect(text.stdout).toMatch(/\nPROBLEM {5}configuration: .*\(config\/unreadable\)\n {12}remedy: /)
  })
})

describe("a leader's API", () => {
  const serving = async <T>(answer: RequestListener, use: (url: string) => Promise<T>): Promise<T> => {
    const server = createServer(answer).listen(0, "127.0.0.1")
    await once(server, "listening")
    try {
      return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    } finally {
      server.close()
    }
  }
  const list = (leader: string, more: object = {}) =>
    callLeader({ leader, ...more }, { method: "GET", path: "/v1/studies" }, studyListSchema)

  it("is asked with the token of a file that is its owner's, and with none elsewhere", async () => {
    const tokenFile = join(folder, "token")
    await writeFile(tokenFile, "abc.def\n", { mode: 0o600 })
    const asked: (string | undefined)[] = []
    await serving(
      (request, response) => {
        asked.push(request.headers.authorization)
        response.end('{"studies":[]}')
      },
      async (url) => {
        expect(await list(url)).toEqual({ studies: [] })
        await list(url, { tokenFile })
        await chmod(tokenFile, 0o644)
        await expect(list(url, { tokenFile })).rejects.toMatchObject({ code: "store/open-permissions" })
        await chmod(tokenFile, 0o600)
        await expect(list("http://leader.example.org:8001", { tokenFile })).rejects.toMatchObject({
          code: "cli/usage",
        })
        await writeFile(tokenFile, "two words\n")
        await expect(list(url, { tokenFile })).rejects.toMatchObject({ code: "cli/usage" })
      },
    )
    expect(asked).toEqual([undefined, "Bearer abc.def"])
  })

  it("says what it refuses; what is no leader is told so", async () => {
    const problem = { type: "x", title: "api/forbidden", status: 403, detail: "Not you.", remedy: "Ask." }
    const cases = [
      [403, JSON.stringify(problem), { code: "api/forbidden", message: "Not you.", remedy: "Ask." }],
      [500, JSON.stringify({ ...problem, title: "made/up" }), { code: "api/failed" }],
      [200, "<html>", { code: "api/failed" }],
      [200, '{"studies":[{}]}', { code: "api/failed" }],
      [302, "", { code: "api/failed" }],
    ] as const
    for (const [status, body, error] of cases)
      await serving(
        (_request, response) => response.writeHead(status, { location: "http://127.0.0.1:1/" }).end(body),
        (url) => expect(list(url)).rejects.toMatchObject(error),
      )
    await expect(list("http://127.0.0.1:1")).rejects.toMatchObject({ code: "network/unreachable" })
    for (const url of ["127.0.0.1:8001", "ftp://127.0.0.1", "http://user:secret@127.0.0.1"])
      await expect(list(url)).rejects.toMatchObject({ code: "cli/usage" })
  })

  it("is given a study's file as it is", async () => {
    await mkdir(join(folder, "files"), { recursive: true })
    const file = join(folder, "files", "study.yaml")
    await writeFile(file, "name: mine\n")
    let got = ""
    await serving(
      (request, response) => {
        got = `${request.method} ${request.url} ${request.headers["content-type"]} `
        request.on("data", (part) => {
          got += part
        })
        request.on("end", () =>
          response.writeHead(202).end(JSON.stringify({ id: "ab".repeat(32), name: "mine" })),
        )
      },
      async (url) => {
        const started = await consilium("study", "start", "--leader", url, "--file", file, "--format", "json")
        expect(JSON.parse(started.stdout)).toEqual({ id: "ab".repeat(32), name: "mine" })
        expect(got).toBe("POST /v1/studies application/yaml name: mine\n")
        await consilium("study", "start", "--leader", url, "--privacy", "mpc")
        expect(got).toBe('POST /api/training/start application/json {"privacy":"mpc"}')
      },
    )
  })
})

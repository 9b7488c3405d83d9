import { type ChildProcess, spawn } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parse, walk } from "./source-rules.js"
import { ROOT } from "./source-tree.js"

const BEFORE_THE_CHECK = [
  "apps/cli/bin/consilium.js",
  "apps/cli/bin/node-version.js",
  "scripts/run.mjs",
  "scripts/build.mjs",
  "scripts/install.mjs",
  "scripts/child.mjs",
  "scripts/lock.mjs",
]

interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}
const ended = (child: ChildProcess): Promise<Ended> =>
  new Promise((resolve, reject) => {
    let [stdout, stderr] = ["", ""]
    child.stdout?.on("data", (chunk) => {
      stdout += chunk
    })
    child.stderr?.on("data", (chunk) => {
      stderr += chunk
    })
    child.on("error", reject)
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
const start = (args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env): ChildProcess =>
  spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] })
const run = (args: readonly string[], cwd: string, env?: NodeJS.ProcessEnv): Promise<Ended> =>
  ended(start(args, cwd, env))
/** Runs a module's text that imports from the scripts of this tree. */
const script = (text: string): readonly string[] => [
  "--input-type=module",
  "-e",
  text.replaceAll("SCRIPTS", pathToFileURL(join(ROOT, "scripts")).href),
]

let scratch = ""
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "consilium bootstrap "))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe("what runs before Node's version is known", () => {
  /** Syntax later than ES2019, which an old Node would answer with a syntax error instead of our sentence. */
  const newSyntax = (path: string, text: string): readonly string[] => {
    const found: string[] = []
    const program = parse(path, text)
    walk(program, (node) => {
      if (node.type === "ChainExpression") found.push("?.")
      if (node.type === "LogicalExpression" && node.operator === "??") found.push("??")
      if (node.type === "AssignmentExpression" && /^(\|\||&&|\?\?)=$/.test(node.operator as string))
        found.push("||=")
      if (/^(PropertyDefinition|PrivateIdentifier|StaticBlock)$/.test(node.type)) found.push(node.type)
      if (node.type === "Literal" && /^\d[\d_]*(n|_\d+)$/.test(String(node.raw))) found.push("1n or 1_000")
      if (node.type === "ExportAllDeclaration" && node.exported !== null) found.push("export * as")
      if (
        node.type === "ImportDeclaration" &&
        /^node:/.test(String((node.source as unknown as { value: string }).value))
      )
        found.push("node:")
      return undefined
    })
    walk(program, (node) => {
      if (/Function/.test(node.type)) return false
      if (node.type === "AwaitExpression" || (node.type === "ForOfStatement" && node.await === true))
        found.push("top-level await")
      return undefined
    })
    return found
  }

  it.each(BEFORE_THE_CHECK)("%s is ES2019", (path) => {
    expect(newSyntax(path, readFileSync(join(ROOT, path), "utf8"))).toEqual([])
  })

  it.each([
    "a?.b",
    "a ?? b",
    "a ||= b",
    "class A { x = 1 }",
    "class A { #x }",
    "1_000",
    "1n",
    "await a",
    'import a from "node:fs"',
  ])("%s would be noticed", (text) => {
    expect(newSyntax("a.mjs", text)).not.toEqual([])
  })

  it("tells an old Node what is needed, and lets later ones pass", async () => {
    const { nodeProblem } = (await import(
      pathToFileURL(join(ROOT, "apps/cli/bin/node-version.js")).href
    )) as {
      nodeProblem(version: string): string | null
    }
    for (const version of ["12.22.12", "18.20.8", "20.18.3"]) expect(nodeProblem(version)).toContain(version)
    for (const version of ["20.19.0", "20.20.2", "22.0.0", "30.1.0-nightly"])
      expect(nodeProblem(version)).toBeNull()
    expect(nodeProblem("18.20.8")).toMatchInlineSnapshot(`
      "Consilium needs Node.js 20.19 or later, and this is 18.20.8.
        remedy: install a current Node.js (https://nodejs.org, or your system's packages) and run the command again."
    `)
  })

  it("refuses an unknown command with its usage, and prints nothing on stdout", async () => {
    for (const args of [["fly"], [], ["constructor"]]) {
      const result = await run([join(ROOT, "scripts/run.mjs"), ...args], scratch)
      expect([result.code, result.stdout]).toEqual([2, ""])
      expect(result.stderr).toContain(
        "usage: node scripts/run.mjs demo|demo:inference|test|test:slow|test:security|build",
      )
    }
  })
})

describe("the lock", () => {
  const holder = (work: string): readonly string[] =>
    script(`
      import fs from "fs"
      import { withLock } from "SCRIPTS/lock.mjs"
      const note = (text) => fs.appendFileSync("notes", text + "\\n")
      const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
      await withLock("state/one.lock", () => note("waits"), async (holding) => { ${work} })
    `)
  const room = (name: string): string => {
    const folder = join(scratch, name)
    mkdirSync(folder)
    return folder
  }
  const notes = (folder: string): readonly string[] =>
    existsSync(join(folder, "notes")) ? readFileSync(join(folder, "notes"), "utf8").trim().split("\n") : []
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20))
  }

  it("lets one process work at a time and leaves nothing behind", async () => {
    const folder = room("contended")
    const work = 'note("in"); await sleep(60); note("out")'
    await Promise.all(Array.from({ length: 5 }, () => run(holder(work), folder)))
    const turns = notes(folder).filter((note) => note !== "waits")
    expect(turns).toEqual(Array.from({ length: 5 }, () => ["in", "out"]).flat())
    expect(notes(folder)).toContain("waits")
    expect(readdirSync(join(folder, "state"))).toEqual([])
  })

  it("passes on after a failure", async () => {
    const folder = room("failing")
    const failed = await run(holder('throw new Error("no")'), folder)
    expect(failed.code).toBe(1)
    expect(readdirSync(join(folder, "state"))).toEqual([])
  })

  it("is taken over from a holder that was killed, once, by several that wait", async () => {
    const folder = room("killed")
    const first = start(holder('note("held"); await sleep(60000)'), folder)
    const gone = ended(first)
    await until(() => notes(folder).includes("held"))
    const work = 'note("in"); await sleep(60); note("out")'
    const others = Array.from({ length: 3 }, () => run(holder(work), folder))
    await until(() => notes(folder).filter((note) => note === "waits").length === 3)
    first.kill("SIGKILL")
    await gone
    await Promise.all(others)
    expect(notes(folder).filter((note) => note === "in" || note === "out")).toEqual(
      Array.from({ length: 3 }, () => ["in", "out"]).flat(),
    )
    expect(readdirSync(join(folder, "state"))).toEqual([])
  })

  it("stands while the killed holder's child still works", async () => {
    const folder = room("orphaned")
    const child = 'setTimeout(() => require("fs").appendFileSync("notes", "child done\\\\n"), 1200)'
    const first = start(
      holder(`
        const { spawn } = await import("child_process")
        holding(spawn(process.execPath, ["-e", '${child}'], { stdio: "ignore" }).pid)
        note("held"); await sleep(60000)
      `),
      folder,
    )
    const gone = ended(first)
    await until(() => notes(folder).includes("held"))
    first.kill("SIGKILL")
    await gone
    await run(holder('note("in")'), folder)
    expect(notes(folder).filter((note) => note !== "waits")).toEqual(["held", "child done", "in"])
  })
})

describe("a child process", () => {
  const parent = (body: string): readonly string[] =>
    script(`
      import { runChild } from "SCRIPTS/child.mjs"
      const code = await runChild(process.execPath, ["-e", ${JSON.stringify(body)}], { stdio: "inherit" })
      process.stderr.write("code " + code)
    `)

  it("has its exit code passed on", async () => {
    expect((await run(parent("process.exit(7)"), scratch)).stderr).toBe("code 7")
  })

  it("has its own death by a signal reported as a shell does", async () => {
    expect((await run(parent('process.kill(process.pid, "SIGKILL")'), scratch)).stderr).toBe("code 137")
  })

  it.each(["SIGINT", "SIGTERM"] as const)("receives %s and may end in its own way", async (signal) => {
    const body = `process.on("${signal}", () => { console.log("bye"); process.exit(5) }); console.log("up"); setInterval(() => {}, 1000)`
    const outer = start(parent(body), scratch)
    const result = ended(outer)
    outer.stdout?.once("data", () => outer.kill(signal))
    expect(await result).toMatchObject({ stdout: "up\nbye\n", stderr: "code 5" })
  })

  it("that cannot be started is an error", async () => {
    const text = 'import { runChild } from "SCRIPTS/child.mjs"\nawait runChild("no-such-program", [], {})'
    expect((await run(script(text), scratch)).stderr).toContain("ENOENT")
  })
})

describe("the state of the sources", () => {
  it("changes with every edit, addition, deletion and older replacement, and with nothing else", async () => {
    const { sourceState } = (await import(pathToFileURL(join(ROOT, "scripts/build.mjs")).href)) as {
      sourceState(root: string): string
    }
    const root = join(scratch, "sources")
    const file = (path: string): string => join(root, "packages", "a", path)
    mkdirSync(file("src/deep"), { recursive: true })
    mkdirSync(file("dist"))
    for (const path of ["package.json", "tsconfig.json", "src/a.ts", "src/deep/b.ts"])
      writeFileSync(file(path), "{}")
    const states = [sourceState(root)]
    const change = (work: () => void): void => {
      work()
      states.push(sourceState(root))
    }
    change(() => writeFileSync(file("src/a.ts"), "{ }"))
    change(() => writeFileSync(file("src/deep/c.ts"), "{}"))
    change(() => rmSync(file("src/deep/b.ts")))
    change(() => utimesSync(file("src/a.ts"), 1000, 1000))
    change(() => writeFileSync(file("tsconfig.json"), "{  }"))
    change(() => writeFileSync(file("package.json"), "{  }"))
    change(() => writeFileSync(file("build-page.mjs"), ""))
    change(() => writeFileSync(file("index.html"), ""))
    expect(new Set(states).size).toBe(states.length)
    writeFileSync(file("dist/a.js"), "")
    writeFileSync(file("README.md"), "")
    expect(sourceState(root)).toBe(states.at(-1))
    expect(sourceState(`${root}/`)).toBe(states.at(-1))
  })
})

describe("installing", () => {
  /** A project without dependencies, so that npm needs no registry. */
  const project = (name: string): string => {
    const root = join(scratch, name)
    mkdirSync(root)
    const manifest = { name: "consilium", version: "1.0.0" }
    writeFileSync(join(root, "package.json"), JSON.stringify(manifest))
    const lock = { ...manifest, lockfileVersion: 3, requires: true, packages: { "": manifest } }
    writeFileSync(join(root, "package-lock.json"), JSON.stringify(lock))
    writeFileSync(join(root, ".npmrc"), "json=true\n")
    cpSync(join(ROOT, "scripts"), join(root, "scripts"), { recursive: true })
    mkdirSync(join(root, "apps/cli"), { recursive: true })
    cpSync(join(ROOT, "apps/cli/bin"), join(root, "apps/cli/bin"), { recursive: true })
    writeFileSync(join(root, "apps/cli/package.json"), '{ "type": "module" }')
    return root
  }
  const installing =
    'import { installWhenStale } from "./scripts/install.mjs"\nprocess.exitCode = await installWhenStale(process.cwd())'
  const times = (results: readonly Ended[]): number =>
    results.filter(({ stderr }) => /Installing/.test(stderr)).length

  it("happens once for two that start at the same time, again when the lock file changes, and prints on stderr", async () => {
    const root = project("installed twice")
    const both = await Promise.all([run(script(installing), root), run(script(installing), root)])
    expect(both.map(({ code, stdout }) => [code, stdout])).toEqual([
      [0, ""],
      [0, ""],
    ])
    expect(times(both)).toBe(1)
    expect(times([await run(script(installing), root)])).toBe(0)
    rmSync(join(root, "node_modules"), { recursive: true })
    expect(times([await run(script(installing), root)])).toBe(1)
  })

  it("ends with a sentence where npm is missing", async () => {
    const { PATH: _, npm_execpath: __, ...env } = process.env
    const result = await run(["scripts/run.mjs", "build"], project("without npm"), { ...env, PATH: scratch })
    expect([result.code, result.stdout]).toEqual([1, ""])
    expect(result.stderr).toContain("npm cannot be started (ENOENT)")
    expect(result.stderr).toContain("remedy: install npm")
  })

  it("passes npm's own exit code on when it fails", async () => {
    const root = project("with a broken lock file")
    const manifest = { name: "consilium", version: "1.0.0", dependencies: { left: "file:./nowhere" } }
    writeFileSync(join(root, "package.json"), JSON.stringify(manifest))
    const result = await run(["scripts/run.mjs", "build"], root)
    expect(result.code).toBe(1)
    expect(result.stdout).toBe("")
    expect(result.stderr).toContain("npm could not install the dependencies")
  })
})

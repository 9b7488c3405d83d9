import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm, symlink } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "vite"

const started = new Set<ChildProcess>()

/** A folder of this test file's own, and what deletes it and ends the children that a failed test left. */
export const temporaryFolder = async (name: string): Promise<{ path: string; remove(): Promise<void> }> => {
  const path = await mkdtemp(join(tmpdir(), `consilium-${name}-`))
  return {
    path,
    async remove() {
      for (const child of started) child.kill("SIGKILL")
      await rm(path, { recursive: true, force: true })
    },
  }
}

/** Brings files that it looks for beside itself, so it cannot be part of another file. */
const UNBUNDLED = "@electric-sql/pglite"

const modulesOf = (name: string): string => {
  const path = createRequire(import.meta.url).resolve(name)
  return path.slice(0, path.lastIndexOf(`/node_modules/${name}/`) + "/node_modules".length)
}

/** Builds a script of `store-children/` with everything it imports into one file that Node can run. */
export const buildChild = async (name: string, outDir: string): Promise<string> => {
  const conditions = ["source", "node", "import", "default"]
  await build({
    configFile: false,
    root: fileURLToPath(new URL("..", import.meta.url)),
    logLevel: "error",
    resolve: { conditions },
    ssr: { noExternal: true, external: [UNBUNDLED], resolve: { conditions } },
    build: {
      ssr: fileURLToPath(new URL(`./store-children/${name}.ts`, import.meta.url)),
      outDir,
      emptyOutDir: false,
      rollupOptions: { output: { entryFileNames: `${name}.mjs` } },
    },
  })
  await symlink(modulesOf(UNBUNDLED), join(outDir, "node_modules")).catch((error) => {
    if (error.code !== "EEXIST") throw error
  })
  return join(outDir, `${name}.mjs`)
}

/** A child process whose lines can be awaited. */
export interface Child {
  readonly process: ChildProcess
  readonly lines: string[]
  /** The first line that starts with a word, whenever it comes; rejects if the child ends without it. */
  line(word: string): Promise<string>
  /** kill -9, and wait for the end. */
  kill(): Promise<void>
  ended(): Promise<void>
}

/** Starts a command and reads its lines. */
export const startChild = (command: string, args: readonly string[]): Child => {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
  started.add(child)
  const lines: string[] = []
  let rest = ""
  let errors = ""
  let over = false
  child.stderr.on("data", (data) => {
    errors += data
  })
  child.stdout.on("data", (data) => {
    const parts = (rest + data).split("\n")
    rest = parts.pop() as string
    lines.push(...parts)
    child.emit("lines")
  })
  const end = once(child, "close").then(() => {
    over = true
    child.emit("lines")
  })
  return {
    process: child,
    lines,
    async line(word) {
      for (;;) {
        const found = lines.find((line) => line.startsWith(word))
        if (found !== undefined) return found
        if (over) throw new Error(`the child ended without "${word}": ${lines.join(" / ")} ${errors}`)
        await once(child, "lines")
      }
    },
    async kill() {
      child.kill("SIGKILL")
      await end
    },
    ended: () => end,
  }
}

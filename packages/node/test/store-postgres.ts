import { execFileSync } from "node:child_process"
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A PostgreSQL server of a test's own. */
export interface PostgresServer {
  readonly address: string
  start(): void
  stop(): void
  remove(): void
}

const LIBRARY = "/usr/lib/postgresql"

/** The folder of PostgreSQL's programs as Debian installs them, newest first; null if there is none. */
const programs = (): string | null => {
  if (!existsSync(LIBRARY)) return null
  const versions = readdirSync(LIBRARY).sort((a, b) => Number(b) - Number(a))
  const found = versions
    .map((version) => join(LIBRARY, version, "bin"))
    .find((bin) => existsSync(join(bin, "initdb")))
  return found ?? null
}

/** Why no server can be had here, or null. */
export const noPostgres = (): string | null => {
  if (programs() === null) return "no PostgreSQL under /usr/lib/postgresql"
  return null
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

/** Makes a server in a temporary folder; it refuses to run as root, so root runs it as nobody. */
export const postgresServer = async (): Promise<PostgresServer> => {
  const bin = programs() as string
  const folder = mkdtempSync(join(tmpdir(), "consilium-postgres-"))
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, "data")
  const port = await freePort()
  const run = (program: string, ...args: string[]): void => {
    execFileSync(join(bin, program), args, { ...user, cwd: folder, stdio: "ignore" })
  }
  run("initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
  const settings = `-h 127.0.0.1 -p ${port} -k ${folder}`
  return {
    address: `postgres://tester@127.0.0.1:${port}/postgres`,
    start: () => run("pg_ctl", "-D", data, "-w", "-l", join(folder, "log"), "-o", settings, "start"),
    stop: () => run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

import { readdir, readFile, readlink } from "node:fs/promises"

const LISTENING = "0A"
const ESTABLISHED = "01"

interface Socket {
  readonly port: string
  readonly state: string
  readonly inode: string
}

const socketsIn = (table: string): readonly Socket[] =>
  table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, local = "", , state = "", , , , , , inode = ""] = line.trim().split(/\s+/)
      return local === "" ? [] : [{ port: local.split(":")[1] ?? "", state, inode }]
    })

/** TCP connections that end at ports a process listens on, as Linux counts them; null where it does not tell. */
export const connectionsInto = async (pid: number): Promise<number | null> => {
  try {
    const links = await Promise.all(
      (await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")),
    )
    const own = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]))
    const tables = await Promise.all(
      ["tcp", "tcp6"].map((name) => readFile(`/proc/${pid}/net/${name}`, "utf8").catch(() => "")),
    )
    const sockets = tables.flatMap(socketsIn).filter(({ inode }) => own.has(inode))
    const ports = new Set(sockets.filter(({ state }) => state === LISTENING).map(({ port }) => port))
    return sockets.filter(({ state, port }) => state === ESTABLISHED && ports.has(port)).length
  } catch {
    return null
  }
}

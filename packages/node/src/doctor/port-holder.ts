import { readdir, readFile, readlink } from "node:fs/promises"

/** State of a listening socket in /proc/net/tcp. */
const LISTENING = "0A"

/** Inodes of the sockets that listen on a port, as Linux lists them. */
const socketsOf = async (port: number): Promise<ReadonlySet<string>> => {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0")
  const found = new Set<string>()
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const text = await readFile(table, "utf8").catch(() => "")
    for (const line of text.split("\n").slice(1)) {
      const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/)
      if (local.endsWith(`:${wanted}`) && state === LISTENING && inode !== undefined) found.add(inode)
    }
  }
  return found
}

/**
 * The process that listens on a port, such as "process 123 (node)"; null where the system does not tell this user. Source:
 * proc(5).
 */
export const listenerOf = async (port: number): Promise<string | null> => {
  const sockets = await socketsOf(port)
  if (sockets.size === 0) return null
  for (const pid of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue
    for (const handle of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const inode = /^socket:\[(\d+)\]$/.exec(
        await readlink(`/proc/${pid}/fd/${handle}`).catch(() => ""),
      )?.[1]
      if (inode === undefined || !sockets.has(inode)) continue
      const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")
      return `process ${pid}${name === "" ? "" : ` (${name.trim()})`}`
    }
  }
  return null
}

import { useEffect, useState } from "react"

/** The server that this page came from: the page lies in a folder of its own below it. */
export const ownServer = (): string => new URL("..", window.location.href).href

/** What people read of a server's address. */
export const serverName = (address: string): string => new URL(address).origin

const FILE = "servers.json"

/** Origins of a server's answer; of anything else none. */
export const serversIn = (answer: unknown): readonly string[] => {
  const { servers } = (typeof answer === "object" && answer !== null ? answer : {}) as {
    readonly servers?: unknown
  }
  return Array.isArray(servers)
    ? servers.filter((server): server is string => typeof server === "string" && URL.canParse(server))
    : []
}

/** The servers that this page may ask: its own, and those that its operator named. */
export const useServers = (): readonly string[] => {
  const [others, setOthers] = useState<readonly string[]>([])
  useEffect(() => {
    const ending = new AbortController()
    const ask = async (): Promise<void> => {
      try {
        const response = await fetch(FILE, { signal: ending.signal, cache: "no-store" })
        if (response.ok) setOthers(serversIn(await response.json()))
      } catch {
        // the page's own server is asked all the same, and says what is wrong with it
      }
    }
    void ask()
    return () => ending.abort()
  }, [])
  return [ownServer(), ...others.filter((other) => serverName(other) !== serverName(ownServer()))]
}

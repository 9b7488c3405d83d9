import { writeSync } from "node:fs"
import { runAuthority } from "../../src/roles/authority.js"

// Runs the authority of a configuration file until it is told to stop, or is killed.
const stop = new AbortController()
process.once("SIGTERM", () => stop.abort())
await runAuthority(process.argv[2] as string, (line) => writeSync(1, `${line}\n`), stop.signal)
writeSync(1, "ended\n")

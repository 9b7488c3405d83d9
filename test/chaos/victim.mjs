import { appendFileSync, readFileSync } from "node:fs"
import { startFacility, startFog, startLeader } from "@consilium/node/roles/start"

// The program of a role that kills itself, by its process id, at the first moment that is wanted and was not reached
// before. It runs in place of `consilium ROLE start`, on the built packages; without CHAOS_WANTED it only tells which
// moments there are.

const [role] = process.argv.slice(2)
const { CHAOS_SEEN: seenFile, CHAOS_HITS: hitsFile, CHAOS_WANTED: wantedFile } = process.env

const linesOf = (path) => readFileSync(path, "utf8").split("\n").filter(Boolean)

const probe = (moment, what) => {
  const points = [...new Set(what)].map((effect) => `${role}/${moment}/${effect}`)
  if (seenFile !== undefined) appendFileSync(seenFile, points.map((point) => `${point}\n`).join(""))
  if (wantedFile === undefined || hitsFile === undefined) return
  const hit = new Set(linesOf(hitsFile))
  const wanted = new Set(linesOf(wantedFile))
  const reached = points.filter((point) => wanted.has(point) && !hit.has(point))
  if (reached.length === 0) return
  appendFileSync(hitsFile, reached.map((point) => `${point}\n`).join(""))
  process.kill(process.pid, "SIGKILL")
}

const options = {
  configPath: process.argv[process.argv.indexOf("--config") + 1],
  patience: 120_000,
  narrate: (line) => process.stderr.write(`${new Date().toISOString()} ${role}: ${line}\n`),
  stop: new AbortController().signal,
  probe,
}
if (role === "leader") await startLeader({ ...options, page: null })
else if (role === "fog") await startFog(options)
else await startFacility(options)

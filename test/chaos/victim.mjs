import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { basename, dirname } from "node:path"
import { startFacility, startFog, startLeader } from "@consilium/node/roles/start"

// The program of a role that kills itself, by its process id, at the first moment that is wanted and was not reached
// before. It runs in place of `consilium ROLE start`, on the built packages; without CHAOS_WANTED it only tells which
// moments there are. With CHAOS_EPOCH the moments before the first keys are in use are told apart from those after.

const [role] = process.argv.slice(2)
const configPath = process.argv[process.argv.indexOf("--config") + 1]
const {
  CHAOS_SEEN: seenFile,
  CHAOS_HITS: hitsFile,
  CHAOS_WANTED: wantedFile,
  CHAOS_DEATHS: deathsFile,
  CHAOS_EPOCH: epochFile,
} = process.env

const linesOf = (path) => readFileSync(path, "utf8").split("\n").filter(Boolean)
const add = (path, points) => {
  if (path !== undefined) appendFileSync(path, points.map((point) => `${point}\n`).join(""))
}

/** What a role logs when the keys of the ceremony are in use, and the file that says so to its next start. */
const BEGINS = role === "facility" ? "log:epoch-begun" : "log:certificate"
const begun = epochFile === undefined ? undefined : `${epochFile}.${basename(dirname(dirname(configPath)))}`
let part = begun === undefined ? role : `${role}/keys`

/** A step that asks for a new record is one moment, the new record itself another. */
const effects = (what) => (what.join() === "checkpoint" ? ["new-record"] : [...new Set(what)])

const probe = (moment, what) => {
  // a step belongs to one part as a whole, and what follows it at once does too
  if (moment === "before-save" && what.join() !== "checkpoint" && begun !== undefined && existsSync(begun))
    part = role
  const points = effects(what).map((effect) => `${part}/${moment}/${effect}`)
  add(seenFile, points)
  if (moment === "after-save" && begun !== undefined && what.includes(BEGINS)) writeFileSync(begun, "")
  if (wantedFile === undefined || hitsFile === undefined) return
  const hit = new Set(linesOf(hitsFile))
  const wanted = new Set(linesOf(wantedFile))
  const reached = points.filter((point) => wanted.has(point) && !hit.has(point))
  if (reached.length === 0) return
  add(hitsFile, reached)
  add(deathsFile, points)
  process.kill(process.pid, "SIGKILL")
}

const options = {
  configPath,
  patience: 120_000,
  narrate: (line) => process.stderr.write(`${new Date().toISOString()} ${role}: ${line}\n`),
  stop: new AbortController().signal,
  probe,
}
if (role === "leader") await startLeader({ ...options, page: null })
else if (role === "fog") await startFog(options)
else await startFacility(options)

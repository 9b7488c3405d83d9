import { startFacility, startFog, startLeader } from "@consilium/node/roles/start"

// The program of a role that kills itself, by its process id, when it comes to a moment, such as
// "before-save/send:submit", for the time that DIES_TIME says. It runs in place of `consilium ROLE start`.

const [role] = process.argv.slice(2)
const { DIES_AT: point, DIES_TIME: time } = process.env
let left = Number(time)

const probe = (moment, what) => {
  if (!what.some((effect) => `${moment}/${effect}` === point)) return
  left -= 1
  if (left === 0) process.kill(process.pid, "SIGKILL")
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

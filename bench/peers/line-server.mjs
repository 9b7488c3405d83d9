/**
 * The conversation of a measuring program with the one that compares: one JSON value a line, answered in order.
 *
 *     { "op": "load", "folder", "name" }    -> { "losses" }             prepares a workload, takes its first steps
 *     { "op": "run", "name", "seconds" }    -> { "rate", "cpuRate" }    samples per second, over at least so long, and per
 *                                                                      second of processor time, which others on the
 *                                                                      machine disturb less
 */
import { createInterface } from "node:readline"

/** Samples of `step` per second and per second of processor time, over at least so many seconds. */
const ratesOf = (step, batch, seconds) => {
  const began = performance.now()
  const cpuBegan = process.cpuUsage()
  let steps = 0
  let elapsed = 0
  do {
    step()
    steps++
    elapsed = (performance.now() - began) / 1000
  } while (elapsed < seconds)
  const { user, system } = process.cpuUsage(cpuBegan)
  return { rate: (steps * batch) / elapsed, cpuRate: (1e6 * steps * batch) / (user + system) }
}

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

/**
 * Greets with what the program is, then answers until its input ends.
 *
 * `load(folder, name)` gives the workload's batch size and a function that takes one step and returns its loss.
 */
export const serve = async (peer, load, more = {}) => {
  const loaded = new Map()
  say({ peer })
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line)
    if (request.op === "load") {
      const { batch, step, losses } = load(request.folder, request.name)
      loaded.set(request.name, { batch, step })
      say({ losses: Array.from({ length: losses }, () => step()) })
    } else if (request.op === "run") {
      const { batch, step } = loaded.get(request.name)
      say(ratesOf(step, batch, request.seconds))
    } else say(await more[request.op](request))
  }
}

/** For a program whose library is not there. */
export const missing = (what) => say({ missing: what })

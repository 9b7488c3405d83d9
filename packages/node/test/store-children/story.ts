import { writeSync } from "node:fs"
import { newStory, tellStory } from "../store-crash-story.js"
import { injectFaults } from "../store-faults.js"

// Tells the long story of a store in a folder and kills itself before an operation, of which it is given the number.
const [folder, at] = process.argv.slice(2) as [string, string]
const told = newStory()
let said = 0
const proxy = new Proxy(told, {
  set(target, key, value) {
    if (key === "done") while (said < value) writeSync(1, `done ${++said}\n`)
    return Reflect.set(target, key, value)
  },
})
const kill = (): void => {
  process.kill(process.pid, "SIGKILL")
}
await injectFaults({ folder, at: Number(at), torn: Number(at) % 2 === 1, kill })
await tellStory(folder, proxy, "long")
writeSync(1, "over\n")

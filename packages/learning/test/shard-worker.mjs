// Runs every `workers`-th shard whenever the ticket changes; a ticket of -1 ends it. Uses the built package.
import { parentPort, workerData } from "node:worker_threads"
import { attachWasmKernel } from "@consilium/learning/kernel/wasm-kernel"
import { planMemory } from "@consilium/learning/network/plan"
import { runShard } from "@consilium/learning/network/shard"

const { memory, settings, control, index, workers } = workerData
const [TICKET, DONE] = [0, 1]
const kernel = attachWasmKernel(memory)
const plan = planMemory(settings)
parentPort.postMessage("ready")
for (let last = 0; ; ) {
  Atomics.wait(control, TICKET, last)
  last = Atomics.load(control, TICKET)
  if (last === -1) break
  for (let k = index; k < settings.shards; k += workers) runShard(kernel, plan, k)
  Atomics.add(control, DONE, 1)
  Atomics.notify(control, DONE)
}

/**
 * The engine of this project as one side of `consilium bench learning`. Rows of each batch are drawn from all examples by
 * their numbers, as in training, and the copying is part of the time; the other sides get their batches ready made.
 *
 * Workloads: lr, mlp and cnn are the networks of the golden trainings; lr-clipped and so on are the same with the gradient
 * of each row clipped.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { arbitraryExamples, GOLDEN_CNN, GOLDEN_LR, GOLDEN_MLP } from "@consilium/learning/network/golden"
import { initialNetwork } from "@consilium/learning/network/network"
import { NetworkTrainer } from "@consilium/learning/network/trainer"
import { publicStream } from "@consilium/learning/public-stream"
import { serve } from "../peers/line-server.mjs"
import { readWorkload } from "../peers/workload.mjs"

const BATCHES = 16
const LOSSES = 20
const CLIP_NORM = 1
const WORKLOADS = {
  lr: { description: GOLDEN_LR, batch: 256, rate: 0.05 },
  mlp: { description: GOLDEN_MLP, batch: 256, rate: 0.05 },
  cnn: { description: GOLDEN_CNN, batch: 64, rate: 0.01 },
}

const write = (folder) => {
  for (const [name, { description, batch, rate }] of Object.entries(WORKLOADS)) {
    const { parameters } = initialNetwork(description, publicStream("bench", name, "initial"))
    const examples = arbitraryExamples(description, batch * BATCHES, publicStream("bench", name, "rows"))
    const sizes = {
      batch,
      batches: BATCHES,
      losses: LOSSES,
      rate,
      rows: examples.rows,
      columns: examples.inputs.length / examples.rows,
      parameters: parameters.length,
    }
    const out = new Float32Array(parameters.length + examples.inputs.length + examples.targets.length)
    out.set(parameters)
    out.set(examples.inputs, parameters.length)
    out.set(examples.targets, parameters.length + examples.inputs.length)
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(sizes))
    writeFileSync(join(folder, `${name}.f32`), new Uint8Array(out.buffer))
  }
  return { written: Object.keys(WORKLOADS) }
}

const load = (folder, name) => {
  const [kind, clipped] = name.split("-")
  const { description } = WORKLOADS[kind]
  const { batch, batches, losses, rate, rows, parameters, inputs, targets } = readWorkload(folder, kind)
  const trainer = new NetworkTrainer({
    network: { description, parameters },
    examples: { rows, inputs, targets },
    batchSize: batch,
    optimiser: { kind: "sgd" },
    schedule: { kind: "constant", rate },
    ...(clipped === undefined ? {} : { clipNorm: CLIP_NORM }),
  })
  const indices = Array.from({ length: batches }, (_, b) =>
    Uint32Array.from({ length: batch }, (_, i) => b * batch + i),
  )
  let next = 0
  return { batch, losses, step: () => trainer.step(indices[next++ % batches]) }
}

await serve("own engine", load, { write: ({ folder }) => write(folder) })

/**
 * TensorFlow.js as one side of `consilium bench learning`, on the backend that the argument names (cpu or wasm), with one
 * thread. Batches are tensors made beforehand.
 *
 * Workloads: lr and mlp are trained as the library's own guide does it, with its dense layers, its loss, its gradients and
 * its SGD; lr-by-hand and mlp-by-hand take the same steps written out in its fastest operations.
 */
import { missing, serve } from "./line-server.mjs"
import { readWorkload } from "./workload.mjs"

const libraries = async (backend) => {
  try {
    const tf = await import("@tensorflow/tfjs-core")
    const { sequential, layers } = await import("@tensorflow/tfjs-layers")
    const module = await import(`@tensorflow/tfjs-backend-${backend}`)
    return { tf, sequential, layers, module }
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error
    return null
  }
}

/** Widths of the layers of each workload, but for the inputs; ReLU between them. */
const WIDTHS = { lr: [1], mlp: [64, 32, 1] }

const loader =
  ({ tf, sequential, layers: dense }) =>
  (folder, workload) => {
    const name = workload.split("-")[0]
    const { batch, batches, losses, rate, columns, parameters, inputs, targets } = readWorkload(folder, name)
    let at = 0
    let width = columns
    const layers = WIDTHS[name].map((outputs) => {
      const take = (...shape) => {
        const size = shape.reduce((product, side) => product * side, 1)
        at += size
        return tf.variable(tf.tensor(parameters.slice(at - size, at), shape), false)
      }
      const layer = { weights: take(width, outputs), bias: take(outputs) }
      width = outputs
      return layer
    })
    const ready = Array.from({ length: batches }, (_, b) => ({
      x: tf.tensor(inputs.slice(b * batch * columns, (b + 1) * batch * columns), [batch, columns]),
      y: tf.tensor(targets.slice(b * batch, (b + 1) * batch), [batch, 1]),
    }))
    const last = layers.length - 1
    // max(z, 0) - z y + log(1 + e^-|z|), in operations that both backends have
    const lossOf = (z, y) => {
      const tail = tf.log(tf.add(tf.exp(tf.neg(tf.abs(z))), 1))
      return tf.mean(tf.add(tf.sub(tf.relu(z), tf.mul(z, y)), tail))
    }
    const optimiser = tf.train.sgd(rate)
    const model = sequential({
      layers: WIDTHS[name].map((units, i) =>
        dense.dense({
          units,
          activation: i < last ? "relu" : "linear",
          ...(i === 0 ? { inputShape: [columns] } : {}),
        }),
      ),
    })
    model.setWeights(layers.flatMap(({ weights, bias }) => [weights, bias]))
    const trained = model.trainableWeights.map(({ val }) => val)
    const byLibrary = ({ x, y }) => {
      const loss = () => tf.losses.sigmoidCrossEntropy(y, model.apply(x, { training: true }))
      return optimiser.minimize(loss, true, trained).dataSync()[0]
    }
    const byHand = ({ x, y }) => {
      const values = [x]
      layers.forEach(({ weights, bias }, i) => {
        const activation = i < last ? "relu" : "linear"
        values.push(tf.fused.matMul({ a: values[i], b: weights, bias, activation }))
      })
      const z = values[layers.length]
      const loss = lossOf(z, y)
      let delta = tf.div(tf.sub(tf.sigmoid(z), y), batch)
      const next = []
      for (let i = last; i >= 0; i--) {
        const { weights, bias } = layers[i]
        const slope = tf.matMul(values[i], delta, true, false)
        const biasSlope = tf.sum(delta, 0)
        if (i > 0) {
          const behind = tf.matMul(delta, weights, false, true)
          delta = tf.mul(behind, tf.step(values[i]))
        }
        next.push(
          [weights, tf.sub(weights, tf.mul(slope, rate))],
          [bias, tf.sub(bias, tf.mul(biasSlope, rate))],
        )
      }
      for (const [variable, value] of next) variable.assign(value)
      return loss.dataSync()[0]
    }
    const compute = workload === name ? byLibrary : byHand
    let next = 0
    const step = () => tf.tidy(() => compute(ready[next++ % batches]))
    return { batch, losses, step }
  }

const backend = process.argv[2]
const found = await libraries(backend)
if (found === null) missing("@tensorflow/tfjs-core and its backend are not installed")
else {
  const { tf, module } = found
  tf.enableProdMode()
  if (backend === "wasm") module.setThreadsCount(1)
  await tf.setBackend(backend)
  await tf.ready()
  const simd = backend === "wasm" ? `, SIMD ${tf.env().get("WASM_HAS_SIMD_SUPPORT") ? "on" : "off"}` : ""
  await serve(`TensorFlow.js ${tf.version_core} ${backend}${simd}`, loader(found))
}

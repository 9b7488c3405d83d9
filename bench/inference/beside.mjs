// Own computing beside SEAL's, one thread, without a network, in turns. Standard input holds one JSON value:
//
//     { lr, nn, patients, rows, linear: { weights, bias, logits }, network: { units: [{ weights, bias, sign }], bias, logits }, runs }
//
// folders of compiled models, patients in named fields, the same as rows of scaled columns, and the models in the numbers that a peer
// takes, with their plain logits. Standard output gets { peer, rows: [{ id, value, unit, best }] }.
import { Asker } from "@consilium/inference/client/asker"
import { ModelServer } from "@consilium/inference/server/model-server"
import { readCompiledFolder } from "@consilium/node/inference/model-folder"
import { sealLinear, sealNetwork, startSeal } from "../peers/seal-inference.mjs"
import { inTurns, timeRow } from "../sums/timing.mjs"

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const { lr, nn, patients, rows, linear, network, runs } = JSON.parse(Buffer.concat(chunks).toString("utf8"))

const checkClose = (asker, opened, logits) => {
  const error = Math.max(...opened.map(({ logit }, i) => Math.abs(logit - logits[i])))
  if (!(error <= asker.prepared.plan.errorBound)) throw new Error(`Logits are off by ${error}.`)
}

/** A few patients, one a request. */
const ownLinear = async () => {
  const compiled = await readCompiledFolder(lr)
  const asker = new Asker(compiled.plan)
  const server = new ModelServer(compiled)
  const asked = (i) => asker.ask([patients[i % patients.length]])
  const answered = Array.from({ length: runs }, (_, i) => {
    const question = asked(i)
    return { question, answer: server.answer(question.bytes) }
  })
  const again = asked(0)
  checkClose(asker, again.open(server.answer(again.bytes)), linear.logits.slice(0, 1))
  return {
    encrypt: asked,
    serve: () => server.answer(again.bytes),
    // an answer opens once
    open: (i) => answered[i].question.open(answered[i].answer),
  }
}
/** All patients in one request. */
const ownNetwork = async () => {
  const compiled = await readCompiledFolder(nn)
  const asker = new Asker(compiled.plan)
  const server = new ModelServer(compiled)
  const question = asker.ask(patients)
  checkClose(asker, question.open(server.answer(question.bytes)), network.logits)
  return { serve: () => server.answer(question.bytes) }
}

const byteRows = (id, bytes) =>
  Object.entries(bytes).map(([what, value]) => ({ id: `${id}.${what}`, value, unit: "B" }))

const [own, ownMany, peer] = [await ownLinear(), await ownNetwork(), await startSeal()]
const peerLinear = peer && sealLinear(peer.seal, rows, linear)
const peerMany = peer && sealNetwork(peer.seal, rows, network)

/** One step of both sides, in turns. */
const beside = async (times, name, step, ours, theirs) => {
  const sides = theirs === null ? [ours[step]] : [ours[step], theirs[step]]
  const [mine, others] = await inTurns(times, sides)
  return [
    timeRow(`inference.own.${name}.${step}`, mine),
    ...(others === undefined ? [] : [timeRow(`inference.node-seal.${name}.${step}`, others)]),
  ]
}

const found = []
for (const step of ["encrypt", "serve", "open"])
  found.push(...(await beside(runs, "lr", step, own, peerLinear)))
const many = `nn-${patients.length}`
found.push(...(await beside(Math.max(3, Math.ceil(runs / 5)), many, "serve", ownMany, peerMany)))
if (peer !== null)
  found.push(
    ...byteRows("inference.node-seal.lr", peerLinear.bytes),
    ...byteRows(`inference.node-seal.${many}`, peerMany.bytes),
  )
process.stdout.write(
  `${JSON.stringify({ peer: peer === null ? null : `node-seal ${peer.version}`, rows: found })}\n`,
)

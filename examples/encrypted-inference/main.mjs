// A model answers on patients it cannot read: compiled, asked, answered and opened, step by step, with the packages alone.
// Run it with `npm run example -- encrypted-inference`.
import { toHex } from "@consilium/base/bytes"
import { systemRandom } from "@consilium/base/random"
import { Asker } from "@consilium/inference/client/asker"
import { compile } from "@consilium/inference/compile/compile"
import { plainLogit } from "@consilium/inference/model/model"
import { planFromBytes, planHash, planToBytes } from "@consilium/inference/plan/plan"
import { columnsOf } from "@consilium/inference/schema/fields"
import { PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"

const say = (line = "") => process.stdout.write(`${line}\n`)
const timed = (work) => {
  const start = performance.now()
  return { result: work(), took: `${(performance.now() - start).toFixed(1)} ms` }
}
/** What a refusal says. */
const refusal = (attempt) => {
  try {
    attempt()
  } catch (error) {
    return `refused (${error.code}): ${error.message}`
  }
  throw new Error("This was to be refused.")
}

say("1. A model, and what it is asked with")
const fields = [
  { name: "age", type: "number", unit: "years", range: [18, 100] },
  { name: "trestbps", type: "number", unit: "mm Hg", range: [60, 240] },
  { name: "chol", type: "number", unit: "mg/dl", range: [80, 600] },
  { name: "oldpeak", type: "number", unit: "mm", range: [0, 7] },
  { name: "exang", type: "boolean" },
]
const schema = { fields, columns: columnsOf(fields) }
const model = { kind: "linear", weights: [0.042, 0.013, 0.004, 0.61, 1.1], bias: -6.1 }
say(
  `   ${model.weights.length} weights; fields ${fields.map(({ name }) => name).join(", ")}, each with its range`,
)

say("\n2. Compiled: whole numbers, parameters, and a proof over everything that the schema declares")
const { result: compiled, took } = timed(() => compile(model, schema, { model: "angina", version: "1" }))
const { plan, proof } = compiled
say(`   ${took}: degree ${plan.degree}, ${plan.primes.length} primes, ${plan.patients} patients a request`)
for (const { layer, largest, room } of proof)
  say(
    `   ${layer}: numbers up to 2^${Math.log2(Number(largest)).toFixed(1)} in room for 2^${Math.log2(Number(room)).toFixed(1)}`,
  )
say(`   no logit is off by more than ${plan.errorBound.toExponential(1)}`)

say("\n3. The asker knows the public plan, and nothing of the model")
const published = planToBytes(plan)
const asker = new Asker(planFromBytes(published))
say(`   ${published.length} bytes, hash ${toHex(planHash(plan)).slice(0, 16)}...`)
const patient = { age: 63, trestbps: 145, chol: 233, oldpeak: 2.3, exang: true }
const wrong = { ...patient, trestbps: 14.5 }
say(`   a slip of the keyboard: ${refusal(() => asker.ask([wrong]))}`)

say("\n4. One patient, encrypted under a key that is drawn for this question")
const question = asker.ask([patient])
const again = asker.ask([patient])
const shared = question.bytes.filter((byte, at) => byte === again.bytes[at]).length
say(
  `   ${question.bytes.length} bytes; asked twice, ${(100 - (100 * shared) / question.bytes.length).toFixed(1)} % of them are others`,
)

say("\n5. The server computes on what it cannot read")
const server = new ModelServer(compiled)
const { result: answer, took: serverTook } = timed(() => server.answer(question.bytes))
say(`   ${serverTook}, ${answer.length} bytes; it holds no key, and keeps nothing`)
const altered = question.bytes.slice()
altered.fill(0xff, altered.length - 64)
say(`   bytes that are no request: ${refusal(() => server.answer(altered))}`)

say("\n6. Only who asked opens the answer, once")
const [{ logit, rounded }] = question.open(answer)
const reader = new PatientReader(schema)
const plain = (one) => plainLogit(model, null, reader.columns(one))
say(`   risk ${rounded}; logit ${logit.toFixed(6)}, in plain ${plain(patient).toFixed(6)}`)
say(`   another's answer: ${refusal(() => again.open(answer))}`)

say("\n7. Many patients in one request cost what one costs")
const draw = () => systemRandom.bytes(1)[0] / 255
const many = Array.from({ length: plan.patients }, () => ({
  age: 18 + 82 * draw(),
  trestbps: 60 + 180 * draw(),
  chol: 80 + 520 * draw(),
  oldpeak: 7 * draw(),
  exang: draw() > 0.5,
}))
const asked = asker.ask(many)
const opened = asked.open(server.answer(asked.bytes))
const error = Math.max(...opened.map((one, at) => Math.abs(one.logit - plain(many[at]))))
const within = error <= plan.errorBound && Math.abs(logit - plain(patient)) <= plan.errorBound
say(`   ${many.length} patients, ${asked.bytes.length} bytes, largest error ${error.toExponential(1)}`)
say(`   every logit is as near as was proven: ${within ? "yes" : "NO"}`)

say("\n8. What this hides, and what it does not")
say(
  "   The patients and the answers are hidden from the server. The weights are not hidden from the asker: under `shared`,",
)
say(
  "   the second half of an answer is the request's times the weights. `kept` plans, with an uploaded key, hide them from honest askers.",
)
process.exitCode = within ? 0 : 1

// A page that asks a model about an encrypted patient. It needs the two files of the bundle beside it, and nothing else.
import { InferenceClient, isConsiliumError, startWorker } from "./consilium-inference.js"

const at = (id) => document.getElementById(id)
const [serverForm, patientForm] = [at("server"), at("patient")]
let client = null

/** Everything is written as text: a server's words are never markup. */
const say = (text, failed = false) => {
  at("said").textContent = text
  at("said").className = failed ? "failed" : ""
}
const tell = (error) => {
  if (isConsiliumError(error)) say(`${error.message} ${error.remedy}`, true)
  else say("Something went wrong in this page.", true)
}
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}

/** What one field of the model's schema is asked with. */
const inputOf = (field) => {
  const { name } = field
  if (field.type === "number") {
    const [min, max] = field.range
    return element("input", { name, type: "number", min, max, step: "any", required: true })
  }
  if (field.type === "boolean") return element("input", { name, type: "checkbox" })
  const options = field.categories.map((category) =>
    element("option", { value: category.name, textContent: category.name }),
  )
  return element("select", { name }, ...options)
}
const labelOf = (field) => {
  const words = field.label ?? field.name
  if (field.type !== "number") return words
  return `${words} (${field.range[0]} to ${field.range[1]}${field.unit === "" ? "" : ` ${field.unit}`})`
}
const typedIn = (field) => {
  const input = patientForm.elements.namedItem(field.name)
  if (field.type === "number") return input.valueAsNumber
  return field.type === "boolean" ? input.checked : input.value
}

const connect = async () => {
  client?.close()
  client = null
  patientForm.hidden = true
  at("answer").hidden = true
  const { address, model, token } = Object.fromEntries(new FormData(serverForm))
  client = await InferenceClient.connect(address, {
    keys: startWorker(),
    ...(model === "" ? {} : { model }),
    ...(token === "" ? {} : { token }),
  })
  const { fields } = client.plan.schema
  at("fields").replaceChildren(...fields.map((field) => element("label", {}, labelOf(field), inputOf(field))))
  patientForm.hidden = false
  say(`Connected to "${client.model}", version ${client.plan.version}. Making keys ...`)
  await client.prepare()
  say(`Connected to "${client.model}", version ${client.plan.version}.`)
}

const ask = async () => {
  const patient = Object.fromEntries(client.plan.schema.fields.map((field) => [field.name, typedIn(field)]))
  const { rounded, figures } = await client.predict(patient)
  const { bytesUp, bytesDown, encryptMs, roundTripMs, openMs } = figures
  at("probability").textContent = `Probability ${rounded.toFixed(3)}`
  at("figures").textContent =
    `${bytesUp} bytes sent, ${bytesDown} received; encrypted in ${encryptMs.toFixed(1)} ms, ` +
    `answered in ${roundTripMs.toFixed(1)} ms, opened in ${openMs.toFixed(1)} ms.`
  at("reveals").textContent = client.reveals
  at("answer").hidden = false
  say("")
}

const on = (form, work) =>
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    const button = form.querySelector("button")
    button.disabled = true
    work()
      .catch(tell)
      .finally(() => {
        button.disabled = false
      })
  })
on(serverForm, connect)
on(patientForm, ask)

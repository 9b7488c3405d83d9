// Asks a model as fast as it answers: encrypted requests that were made beforehand, over TLS connections that stay open. Standard
// input holds one JSON value:
//
//     { url, ca, model, connections, seconds, distinct, patients, logits }
//
// patients in named fields, with their plain logits for the check before anything is timed. Standard output gets one:
//
//     { rates, latencyMs: { p50, p95, p99 }, requests, cpuMs, checked, largestError }
import tls from "node:tls"
import { Asker } from "@consilium/inference/client/asker"
import { planFromBytes } from "@consilium/inference/plan/plan"

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const settings = JSON.parse(Buffer.concat(chunks).toString("utf8"))
const { url, ca, model, connections, seconds, distinct, patients, logits } = settings
const { hostname: host, port } = new URL(url)

const CHECKED = 16
const HEAD_END = Buffer.from("\r\n\r\n")

/** One connection; requests follow each other on it, each after the answer to the one before. */
const connect = async () => {
  const socket = tls.connect({ host, port: Number(port), ca, servername: "localhost" })
  socket.setNoDelay(true)
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve)
    socket.once("error", reject)
  })
  let pieces = []
  let length = 0
  let expected = null
  let waiting = null
  const take = () => {
    const answer = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, length)
    pieces = [answer]
    if (expected === null) {
      const end = answer.indexOf(HEAD_END)
      if (end < 0) return
      const head = answer.subarray(0, end).toString("latin1")
      const body = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])
      expected = { from: end + HEAD_END.length, to: end + HEAD_END.length + body, status: head.slice(9, 12) }
    }
    if (length < expected.to) return
    const { status, from, to } = expected
    const { resolve, reject } = waiting
    const body = answer.subarray(from, to)
    pieces = []
    length = 0
    expected = null
    if (status === "200") resolve(body)
    else reject(new Error(`The server answered with ${status}: ${body.toString("utf8")}`))
  }
  socket.on("data", (piece) => {
    pieces.push(piece)
    length += piece.length
    if (expected === null || length >= expected.to) take()
  })
  const ended = () => waiting?.reject(new Error("The server closed a connection."))
  socket.on("error", ended)
  socket.on("close", ended)
  return {
    ask: (bytes) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        socket.write(bytes)
      }),
    end: () => socket.destroy(),
  }
}

const requestOf = (method, path, body = Buffer.alloc(0)) => {
  const head = `${method} ${path} HTTP/1.1\r\nhost: localhost:${port}\r\ncontent-type: application/octet-stream\r\ncontent-length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, "latin1"), body])
}

const lanes = await Promise.all(Array.from({ length: connections }, connect))
const view = JSON.parse((await lanes[0].ask(requestOf("GET", `/v1/models/${model}/plan`))).toString("utf8"))
const asker = new Asker(planFromBytes(new Uint8Array(Buffer.from(view.bytes, "base64"))))
const predict = (question) => requestOf("POST", `/v1/models/${model}/predict`, question.bytes)

let largestError = 0
for (let i = 0; i < CHECKED; i++) {
  const at = i % patients.length
  const question = asker.ask([patients[at]])
  const [{ logit }] = question.open(new Uint8Array(await lanes[0].ask(predict(question))))
  largestError = Math.max(largestError, Math.abs(logit - logits[at]))
}
if (!(largestError <= asker.prepared.plan.errorBound))
  throw new Error(`Answers are off by ${largestError}, more than the plan proves.`)

const requests = Array.from({ length: distinct }, (_, i) =>
  predict(asker.ask([patients[i % patients.length]])),
)

/** All lanes at once for so long; how many answers came, and how long each took. */
const window = async (milliseconds, times) => {
  const began = performance.now()
  let answers = 0
  let next = Math.floor(Math.random() * requests.length)
  await Promise.all(
    lanes.map(async ({ ask }) => {
      while (performance.now() - began < milliseconds) {
        const sent = performance.now()
        await ask(requests[next++ % requests.length])
        times.push(performance.now() - sent)
        answers++
      }
    }),
  )
  return (1000 * answers) / (performance.now() - began)
}

await window(1000, [])
process.stderr.write("timing\n")
const cpu = process.cpuUsage()
const times = []
const rates = []
for (let second = 0; second < seconds; second++) rates.push(await window(1000, times))
const { user, system } = process.cpuUsage(cpu)
process.stderr.write("timed\n")
times.sort((a, b) => a - b)
const quantile = (q) => times[Math.ceil(q * times.length) - 1]
for (const lane of lanes) lane.end()
process.stdout.write(
  `${JSON.stringify({
    rates,
    latencyMs: { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
    requests: times.length,
    cpuMs: (user + system) / 1000,
    checked: CHECKED,
    largestError,
  })}\n`,
)

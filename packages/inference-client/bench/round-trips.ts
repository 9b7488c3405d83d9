/**
 * A client in Node against a running server, one patient at a time: medians and 95th percentiles in milliseconds, and bytes.
 *
 *     npm run build
 *     npx consilium infer serve --models compiled [--tls-key key.pem --tls-cert cert.pem]
 *     npx rolldown packages/inference-client/bench/round-trips.ts --platform node --format esm --dir .consilium/bench
 *     node .consilium/bench/round-trips.js ADDRESS MODEL [cert.pem]        (from the root of the tree)
 */
import { readFileSync } from "node:fs"
import type { Patient } from "@consilium/inference/schema/patient"
import { InferenceClient } from "@consilium/inference-client/client"
import { NodeTransport } from "@consilium/inference-client/node-transport"

const [address, model, certificate] = process.argv.slice(2)
if (address === undefined || model === undefined) throw new Error("Give the address of a server and a model.")
const transport = () =>
  new NodeTransport(certificate === undefined ? {} : { ca: readFileSync(certificate, "utf8") })
const CONNECTS = 21
const EXCHANGES = 301

const timed = async <T>(work: () => Promise<T>): Promise<readonly [T, number]> => {
  const began = performance.now()
  const result = await work()
  return [result, performance.now() - began]
}
const report = (what: string, times: readonly number[]): void => {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] as number).toFixed(2)
  console.log(`${what.padEnd(34)} p50 ${at(0.5).padStart(8)} ms   p95 ${at(0.95).padStart(8)} ms`)
}

const connect = () => InferenceClient.connect(address, { model, transport: transport() })
const connects: number[] = []
for (let i = 0; i < CONNECTS; i++) {
  const [client, ms] = await timed(connect)
  connects.push(ms)
  client.close()
}
report("connect", connects)

const client = await connect()
const patient: Patient = Object.fromEntries(
  client.plan.schema.fields.map((field) => {
    if (field.type === "number") return [field.name, (field.range[0] + field.range[1]) / 2]
    return [field.name, field.type === "boolean" ? true : (field.categories[0] as { name: string }).name]
  }),
)
for (const blanks of [0, 2]) {
  if (blanks > 0) await client.prepare({ blanks })
  const [all, parts] = [
    [] as number[],
    { encrypt: [] as number[], roundTrip: [] as number[], server: [] as number[], open: [] as number[] },
  ]
  for (let i = 0; i < EXCHANGES; i++) {
    const [{ figures }, ms] = await timed(() => client.predict(patient))
    all.push(ms)
    parts.encrypt.push(figures.encryptMs)
    parts.roundTrip.push(figures.roundTripMs)
    parts.server.push(figures.serverMs ?? 0)
    parts.open.push(figures.openMs)
    if (i === 0) console.log(`bytes up ${figures.bytesUp}, down ${figures.bytesDown}`)
    // blanks are made when nothing else is to be done, as between two patients
    await new Promise((resolve) => setTimeout(resolve, 4))
  }
  report(blanks > 0 ? "predict, prepared" : "predict", all)
  for (const [part, times] of Object.entries(parts)) report(`   ${part}`, times)
}
client.close()

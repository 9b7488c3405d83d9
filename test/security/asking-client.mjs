// A client process with a planted secret key: asks about the patients of standard input's first line, then waits, keys in hand, until
// standard input ends. It prints what it was told, one JSON line.
import { once } from "node:events"
import { createInterface } from "node:readline"
import { insecureSeededRandom } from "@consilium/base/testing"
import { InferenceClient } from "@consilium/inference-client/client"
import { OwnKeys } from "@consilium/inference-client/keys/own-keys"
import { NodeTransport } from "@consilium/inference-client/node-transport"

const [url, seed] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })
const [first] = await once(lines, "line")
const patients = JSON.parse(first)
const client = await InferenceClient.connect(url, {
  transport: new NodeTransport(),
  keys: new OwnKeys({ random: insecureSeededRandom(seed) }),
})
// the first secret of the seed is the key's, or where none is uploaded that of a blank; the newest are taken first, so it stays
await client.prepare({ blanks: patients.length + 1 })
const told = []
for (const patient of patients) told.push(await client.predict(patient))
process.stdout.write(`${JSON.stringify(told.map(({ logit }) => logit))}\n`)
await once(lines, "close")
if (patients.length !== told.length) process.exitCode = 1
client.close()

// Asks a model about encrypted patients, with the client's bundle as it would be used outside of this repository.
// Run it with `npm run example -- inference-client`; `-- --page` serves the example page as well, `-- --server URL` asks a
// server of yours.
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { extname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { InferenceClient } from "../../packages/inference-client/dist/bundle/consilium-inference.js"

const { server, model, token, page } = parseArgs({
  options: {
    server: { type: "string" },
    model: { type: "string" },
    token: { type: "string" },
    page: { type: "boolean", default: false },
  },
}).values
const say = (line = "") => process.stdout.write(`${line}\n`)
const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const PROGRAM = here("../../apps/cli/bin/consilium.js")
const BUNDLE = "../../packages/inference-client/dist/bundle"

/** What a plain static server does: a few files, and nothing else. */
const FILES = {
  "/": "index.html",
  "/page.mjs": "page.mjs",
  "/page.css": "page.css",
  "/consilium-inference.js": `${BUNDLE}/consilium-inference.js`,
  "/consilium-inference-worker.js": `${BUNDLE}/consilium-inference-worker.js`,
}
const TYPES = {
  ".html": "text/html",
  ".css": "text/css",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
}
const servePage = async () => {
  const listener = createServer(({ url }, response) => {
    const file = Object.hasOwn(FILES, url) ? FILES[url] : null
    if (file === null) response.writeHead(404).end()
    else response.writeHead(200, { "content-type": TYPES[extname(file)] }).end(readFileSync(here(file)))
  })
  listener.listen(0, "127.0.0.1")
  await once(listener, "listening")
  return listener
}

/** Trains a model on made-up patients, compiles it and serves it: three commands. */
const serveModel = async (folder, origins) => {
  const consilium = (...args) => execFileSync(process.execPath, [PROGRAM, "infer", ...args])
  consilium("train", "--model", "lr", "--simulate", "600", "--out", join(folder, "trained"))
  consilium("compile", "--model", join(folder, "trained"), "--out", join(folder, "models", "heart"))
  const allowed = origins.flatMap((origin) => ["--allow-origin", origin])
  const args = ["infer", "serve", "--models", join(folder, "models"), "--port", "0", "--with-parent"]
  const child = spawn(process.execPath, [PROGRAM, ...args, ...allowed], {
    stdio: ["pipe", "pipe", "ignore"],
  })
  const ended = once(child, "exit")
  const failed = ended.then(() => {
    throw new Error("The server ended before it listened.")
  })
  const [address] = await Promise.race([once(createInterface(child.stdout), "line"), failed])
  failed.catch(() => undefined)
  return { child, ended, address }
}

/** Somebody made up, in the middle of all ranges or a part of the way to their ends. */
const somebody = ({ fields }, part) =>
  Object.fromEntries(
    fields.map((field) => {
      if (field.type === "boolean") return [field.name, part > 0.5]
      if (field.type === "category")
        return [field.name, field.categories[Math.round(part * (field.categories.length - 1))].name]
      const [low, high] = field.range
      return [field.name, low + part * (high - low)]
    }),
  )

const folder = mkdtempSync(join(tmpdir(), "consilium-example-"))
const listener = page ? await servePage() : null
const origin = listener === null ? null : `http://127.0.0.1:${listener.address().port}`
const own = server === undefined ? await serveModel(folder, origin === null ? [] : [origin]) : null
const address = server ?? own.address
if (own !== null)
  say("The model was trained on MADE-UP patients; with --server URL a server of yours is asked.")

try {
  const client = await InferenceClient.connect(address, {
    ...(model === undefined ? {} : { model }),
    ...(token === undefined ? {} : { token }),
  })
  const { schema, version, patients: most } = client.plan
  say(`\n1. The model "${client.model}", version ${version}, at ${address}`)
  say(`   asks for ${schema.fields.length} fields: ${schema.fields.map(({ name }) => name).join(", ")}`)
  say(`   ${client.reveals}`)

  say("\n2. Patients one by one: encrypted here, computed on there, opened here")
  await client.prepare()
  const patients = [0.3, 0.4, 0.5, 0.6].map((part) => somebody(schema, part))
  const single = []
  for (const patient of patients) {
    const { rounded, figures } = await client.predict(patient)
    single.push(rounded)
    const server = figures.serverMs === null ? "" : `, ${figures.serverMs.toFixed(2)} of them the server's`
    say(
      `   probability ${rounded.toFixed(3)}   ${figures.bytesUp} bytes up, ${figures.bytesDown} down, ` +
        `${figures.roundTripMs.toFixed(1)} ms there and back${server}`,
    )
  }

  say(`\n3. The same together, ${most} or fewer in a request`)
  const { predictions, exchanges } = await client.predictMany(patients)
  const together = predictions.map(({ rounded }) => rounded)
  const same = together.every((rounded, i) => Math.abs(rounded - single[i]) < 0.0015)
  say(`   ${exchanges.length} request: ${same ? "the same probabilities" : "OTHER PROBABILITIES"}`)
  client.close()
  process.exitCode = same ? 0 : 1

  if (origin !== null) {
    say(`\n4. The page is at ${origin} and asks ${address}. Ctrl-C ends both.`)
    await once(process, "SIGINT")
  }
} finally {
  own?.child.stdin.end()
  await own?.ended
  listener?.close()
  rmSync(folder, { recursive: true, force: true })
}

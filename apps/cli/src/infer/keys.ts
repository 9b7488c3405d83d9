import { join, resolve } from "node:path"
import { fromHex, toHex } from "@consilium/base/bytes"
import { utf8 } from "@consilium/base/platform"
import { systemRandom } from "@consilium/base/random"
import { AskerKey } from "@consilium/inference/client/asker-key"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import { readCompiledPlan } from "@consilium/node/inference/model-folder"
import { planContext } from "@consilium/node/inference/plan-context"
import { makePrivateFolder, storeError } from "@consilium/node/store/files"
import { type Format, print } from "../commands/printed.js"
import { writeReport } from "../commands/report-file.js"
import { checkFree } from "./free-files.js"

interface KeysArguments {
  readonly plan: string
  readonly out: string
  readonly nonce?: string
  readonly format: Format
}

/** What an asker keeps: public but for the last. */
export const ASKER_FILES = { context: "context.json", key: "public.key", secret: "secret.key" } as const

/** Bytes of a nonce. */
const NONCE_BYTES = 32

/** Writes an asker's files for a plan. */
export const inferKeys = async ({ plan: given, out, nonce: asked, format }: KeysArguments): Promise<void> => {
  const prepared = new PreparedPlan(await readCompiledPlan(given))
  const folder = resolve(out)
  // a key that is replaced could not open any more what was asked with it
  await checkFree(
    folder,
    Object.values(ASKER_FILES),
    "Choose another folder with --out, and keep the secret of this one.",
  )
  await makePrivateFolder(folder).catch((error) => {
    throw storeError(error, `make the folder ${folder}`)
  })
  const context = planContext(prepared)
  const head = `${context.model}, version ${context.version}, plan ${context.plan}`
  const write = (name: string, bytes: Uint8Array) => writeReport(join(folder, name), bytes, false)
  const contextBytes = utf8(`${JSON.stringify(context, null, 1)}\n`)
  if (!prepared.takesKey) {
    await write(ASKER_FILES.context, contextBytes)
    print(format, { folder, files: [ASKER_FILES.context], plan: context.plan, key: null, nonce: null }, [
      head,
      "No key is needed: every request has a fresh secret key of its own, and servers hold none.",
      `Written   ${join(folder, ASKER_FILES.context)}`,
    ])
    return
  }
  const nonce = asked === undefined ? systemRandom.bytes(NONCE_BYTES) : fromHex(asked)
  const key = AskerKey.generate(prepared, nonce)
  const secret = key.toBytes(prepared)
  try {
    await write(ASKER_FILES.secret, secret)
  } finally {
    secret.fill(0)
    key.secret.erase()
  }
  await write(ASKER_FILES.key, key.upload)
  await write(ASKER_FILES.context, contextBytes)
  const id = toHex(key.id)
  print(
    format,
    { folder, files: Object.values(ASKER_FILES), plan: context.plan, key: id, nonce: toHex(nonce) },
    [
      head,
      `Key       ${id}`,
      `Nonce     ${toHex(nonce)}${asked === undefined ? ", drawn here: for servers that load the key from a folder" : ", the server's"}`,
      `Written   ${folder}: ${ASKER_FILES.key} (${key.upload.length} bytes) and ${ASKER_FILES.context} are public`,
      `Secret    ${ASKER_FILES.secret} opens every answer to requests under this key: it stays here`,
    ],
  )
}

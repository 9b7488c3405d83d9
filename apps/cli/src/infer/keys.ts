import { join, resolve } from "node:path"
import { fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { systemRandom } from "@consilium/base/random"
import { AskerKey } from "@consilium/inference/client/asker-key"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import { readCompiledPlan } from "@consilium/node/inference/model-folder"
import { planContext } from "@consilium/node/inference/plan-context"
import { makePrivateFolder, storeError } from "@consilium/node/store/files"
import { type Format, print } from "../commands/printed.js"
import { writeReport } from "../commands/report-file.js"
import { ASKER_FILES } from "./asker-files.js"
import type { AskingPlace } from "./asking.js"
import { checkFree } from "./free-files.js"
import { type KeyRegistration, registerAt } from "./key-registration.js"

interface KeysArguments extends Omit<AskingPlace, "models" | "keys"> {
  /** The folder of a plan; or a server, which the key is then uploaded to. */
  readonly plan?: string
  readonly out: string
  readonly nonce?: string
  readonly format: Format
}

/** Bytes of a nonce. */
const NONCE_BYTES = 32

const checkArguments = ({ plan, server, model, tokenFile, ca, nonce }: KeysArguments): void => {
  const usage = (message: string, remedy: string): never => {
    throw new ConsiliumError("cli/usage", message, { remedy })
  }
  if ((plan === undefined) === (server === undefined))
    usage("One of --plan and --server is needed.", "Say for which plan the key is: a folder's or a server's.")
  if (plan !== undefined && [model, tokenFile, ca].some((one) => one !== undefined))
    usage("--model, --token-file and --ca are for --server.", "Leave them out.")
  if (server !== undefined && nonce !== undefined)
    usage("--nonce is for --plan: a server that is asked gives its own.", "Leave it out.")
}

/** Writes an asker's files for a plan; to a server that gave the plan the key is uploaded. */
export const inferKeys = async (options: KeysArguments): Promise<void> => {
  checkArguments(options)
  const { server } = options
  // a key that is replaced could not open any more what was asked with it
  await checkFree(
    resolve(options.out),
    Object.values(ASKER_FILES),
    "Choose another folder with --out, and keep the secret of this one.",
  )
  if (server === undefined) return writeKeys(options, null)
  const registration = await registerAt({ ...options, server })
  try {
    await writeKeys(options, registration)
  } finally {
    registration.close()
  }
}

const FROM_SERVER = ", the server's"
const DRAWN_HERE = ", drawn here: for servers that load the key from a folder"

const writeKeys = async (
  { plan: given, out, nonce: asked, format }: KeysArguments,
  server: KeyRegistration | null,
): Promise<void> => {
  const prepared = new PreparedPlan(server?.plan ?? (await readCompiledPlan(given as string)))
  const folder = resolve(out)
  await makePrivateFolder(folder).catch((error) => {
    throw storeError(error, `make the folder ${folder}`)
  })
  const context = planContext(prepared)
  const head = `${context.model}, version ${context.version}, plan ${context.plan}`
  const write = (name: string, bytes: Uint8Array) => writeReport(join(folder, name), bytes, false)
  const contextBytes = utf8(`${JSON.stringify(context, null, 1)}\n`)
  if (!prepared.takesKey) {
    await write(ASKER_FILES.context, contextBytes)
    const files = [ASKER_FILES.context]
    print(format, { folder, files, plan: context.plan, key: null, nonce: null, uploaded: false }, [
      head,
      "No key is needed: every request has a fresh secret key of its own, and servers hold none.",
      `Written   ${join(folder, ASKER_FILES.context)}`,
    ])
    return
  }
  const nonce =
    server !== null
      ? await server.nonce()
      : asked === undefined
        ? systemRandom.bytes(NONCE_BYTES)
        : fromHex(asked)
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
  // once the secret is on disk: a key that is uploaded can open what is asked under it
  await server?.upload(key)
  const id = toHex(key.id)
  const files = Object.values(ASKER_FILES)
  const uploaded = server !== null
  print(format, { folder, files, plan: context.plan, key: id, nonce: toHex(nonce), uploaded }, [
    head,
    `Key       ${id}`,
    `Nonce     ${toHex(nonce)}${uploaded || asked !== undefined ? FROM_SERVER : DRAWN_HERE}`,
    `Written   ${folder}: ${ASKER_FILES.key} (${key.upload.length} bytes) and ${ASKER_FILES.context} are public`,
    `Secret    ${ASKER_FILES.secret} opens every answer to requests under this key: it stays here`,
    ...(uploaded
      ? [`Uploaded  the server knows the key: infer predict --server URL --keys ${out} asks with it`]
      : []),
  ])
}

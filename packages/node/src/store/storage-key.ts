import { createHash, scrypt } from "node:crypto"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { equalBytes, fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { type RandomSource, SecretKey, systemRandom } from "@consilium/base/random"
import { z } from "zod"
import { errno, makePrivateFolder, readPrivateFile, storeError, writeFileAtomic } from "./files.js"
import { parseStorageKey, refuseOrphans, storageKeyFromFile } from "./sealed.js"

/** Where the key that seals a data folder comes from; none of them is in the folder, so a copy of it shows nothing. */
export type StorageKeySource =
  /** A file with the key, for its owner only; made with a fresh key if it is not there and nothing is sealed yet. */
  | { readonly kind: "file"; readonly path: string }
  /** A file with a passphrase, for its owner only: 12 characters or more on one line. */
  | { readonly kind: "passphrase-file"; readonly path: string }
  /** A credential that systemd hands to the service (`LoadCredentialEncrypted=NAME:...`): a key as in a key file. */
  | { readonly kind: "systemd-credential"; readonly name: string }

export interface StorageKeyRequest {
  readonly source: StorageKeySource
  /** The folders that the key seals. What a passphrase needs beside itself (salt and cost) is kept in the first. */
  readonly sealedFolders: readonly [string, ...string[]]
  readonly random?: RandomSource
  readonly environment?: NodeJS.ProcessEnv
}

/**
 * The storage key of a data folder.
 * @throws {ConsiliumError} "store/key-missing", "store/wrong-key" for another passphrase, "store/bad-key-file",
 *   "store/open-permissions", "store/corrupt" if what is kept beside the sealed files was changed
 */
export const storageKey = async (request: StorageKeyRequest): Promise<SecretKey> => {
  const { source, sealedFolders, random = systemRandom } = request
  try {
    switch (source.kind) {
      case "file":
        return await storageKeyFromFile(source.path, { sealedFolders, random })
      case "passphrase-file":
        return await keyFromPassphrase(source.path, sealedFolders, random)
      case "systemd-credential":
        return await keyFromCredential(source.name, request.environment ?? process.env)
    }
  } catch (error) {
    throw storeError(error, "read the storage key")
  }
}

const keyFromCredential = async (name: string, environment: NodeJS.ProcessEnv): Promise<SecretKey> => {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name))
    throw new ConsiliumError("store/bad-name", `A credential cannot be called ${JSON.stringify(name)}.`)
  const { CREDENTIALS_DIRECTORY: folder } = environment
  const remedy = `Add LoadCredentialEncrypted=${name}:FILE to the service and start it with systemctl.`
  if (folder === undefined || folder === "")
    throw new ConsiliumError(
      "store/key-missing",
      `The storage key is to come from the credential ${name}, but this process was given no credentials.`,
      { remedy },
    )
  const path = join(folder, name)
  try {
    // systemd may grant the service's user access by an access list, which shows as bits for the group.
    return parseStorageKey(await readFile(path, "latin1"), path)
  } catch (error) {
    if (errno(error) !== "ENOENT") throw error
    throw new ConsiliumError("store/key-missing", `The credential ${name} is not in ${folder}.`, {
      remedy,
      cause: error,
    })
  }
}

const PARAMETERS = "passphrase.json"
const LEAST_CHARACTERS = 12

const parametersSchema = z.strictObject({
  version: z.literal(1),
  /** scrypt's cost, block size and parallelism; bounded, so that a changed file cannot ask for all memory. */
  n: z.union([z.literal(2 ** 17), z.literal(2 ** 18), z.literal(2 ** 19), z.literal(2 ** 20)]),
  r: z.literal(8),
  p: z.literal(1),
  salt: z.string().regex(/^[0-9a-f]{64}$/),
  /** Tells another passphrase from damage. It helps a guesser no more than any sealed file does. */
  check: z.string().regex(/^[0-9a-f]{64}$/),
  /** SHA-256 of the fields above. */
  sum: z.string().regex(/^[0-9a-f]{64}$/),
})
type Parameters = z.infer<typeof parametersSchema>

const sumOf = ({ version, n, r, p, salt, check }: Omit<Parameters, "sum">): string =>
  createHash("sha256")
    .update(JSON.stringify([version, n, r, p, salt, check]))
    .digest("hex")

/**
 * A key from a passphrase.
 *
 * Math:   64 bytes = scrypt(passphrase, salt, N = 2^17, r = 8, p = 1); key = first half, check = hash of the second
 * Cost:   128 MB of memory and about half a second, for every guess as well
 * Source: RFC 7914
 */
const keyFromPassphrase = async (
  path: string,
  sealedFolders: readonly [string, ...string[]],
  random: RandomSource,
): Promise<SecretKey> => {
  const passphrase = await readPassphrase(path)
  const [folder] = sealedFolders
  const file = join(folder, PARAMETERS)
  const kept = await readParameters(file)
  if (kept === null) {
    await refuseOrphans(sealedFolders, file)
    const cost = { version: 1, n: 2 ** 17, r: 8, p: 1, salt: toHex(random.bytes(32)) } as const
    const { key, check } = await derive(passphrase, cost)
    const fields = { ...cost, check: toHex(check) }
    await makePrivateFolder(folder)
    await writeFileAtomic(file, Buffer.from(`${JSON.stringify({ ...fields, sum: sumOf(fields) })}\n`))
    return key
  }
  const { key, check } = await derive(passphrase, kept)
  if (equalBytes(check, fromHex(kept.check))) return key
  key.erase()
  throw new ConsiliumError(
    "store/wrong-key",
    `The passphrase in ${path} is not the one that ${folder} was sealed with.`,
    { remedy: "Put the passphrase that was used before into the file; no data was changed." },
  )
}

const readPassphrase = async (path: string): Promise<Buffer> => {
  const text = (await readPrivateFile(path))?.toString("utf8").replace(/\r?\n$/, "")
  if (text === undefined)
    throw new ConsiliumError("store/key-missing", `The passphrase file ${path} is not there.`, {
      remedy: "Write the passphrase into the file, one line, and run chmod 600 on it.",
    })
  if ([...text].length < LEAST_CHARACTERS || /[\r\n]/.test(text))
    throw new ConsiliumError(
      "store/bad-key-file",
      `The passphrase file ${path} does not hold one line of ${LEAST_CHARACTERS} or more characters.`,
      { remedy: "Write a longer passphrase, such as six random words, on one line." },
    )
  return Buffer.from(text)
}

const readParameters = async (file: string): Promise<Parameters | null> => {
  let text: string
  try {
    text = await readFile(file, "utf8")
  } catch (error) {
    if (errno(error) === "ENOENT") return null
    throw error
  }
  try {
    const parameters = parametersSchema.parse(JSON.parse(text))
    if (sumOf(parameters) === parameters.sum) return parameters
  } catch {
    // what cannot be read is as damaged as what has another sum
  }
  throw new ConsiliumError(
    "store/corrupt",
    `${file} was changed, so no passphrase can give the key that it belongs to.`,
    { remedy: "Restore the file from a backup; without it nobody can open the sealed data." },
  )
}

const derive = async (
  passphrase: Buffer,
  { n, r, p, salt }: Pick<Parameters, "n" | "r" | "p" | "salt">,
): Promise<{ key: SecretKey; check: Uint8Array }> => {
  const bytes = await new Promise<Buffer>((done, fail) => {
    const options = { N: n, r, p, maxmem: 129 * n * r + 2 ** 20 }
    scrypt(passphrase, fromHex(salt), 64, options, (error, out) => (error === null ? done(out) : fail(error)))
  })
  const key = new SecretKey(bytes.subarray(0, 32))
  const check = hash("storage-key-check", bytes.subarray(32))
  bytes.fill(0)
  return { key, check }
}

import { concatBytes, equalBytes } from "@consilium/base/bytes"
import { type Codec, record, sortedBy, text, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"

/** Where a model comes from. Flags are marks such as "insecure-seed" or "synthetic-data"; their order has no meaning. */
export interface Provenance {
  readonly study: string
  readonly round: number
  readonly flags: readonly string[]
}

/** What every model file begins with; a version of two bytes follows. */
export const MODEL_MAGIC = utf8("CONSILIUM MODEL\n")
const DIGEST_BYTES = 32
const FLAG = /^[a-z0-9]+(-[a-z0-9]+)*$/
const FLAG_BYTES = 64

export const provenanceCodec: Codec<Provenance> = record({
  study: text(256),
  round: u32,
  flags: sortedBy(text(FLAG_BYTES), utf8, 32),
})

/** Refuses a model whose parts contradict each other. */
export const inconsistent = (message: string): never => {
  throw new ConsiliumError("model/inconsistent", message)
}

const unreadable = (message: string): never => {
  throw new ConsiliumError("model/unreadable", message)
}

/**
 * Refuses a study without a name and flags that are none.
 * @throws {ConsiliumError} "model/inconsistent"
 */
export const checkProvenance = ({ study, flags }: Provenance): void => {
  if (study === "") inconsistent("The study of a model has no name.")
  if (new Set(flags).size !== flags.length) inconsistent("A flag is given twice.")
  for (const flag of flags)
    if (!FLAG.test(flag) || flag.length > FLAG_BYTES)
      inconsistent("A flag is made of lower-case words joined by hyphens, 64 characters at most.")
}

/** The hash of all of a model file but its last 32 bytes, which are this hash. */
export const contentHash = (body: Uint8Array): Digest => hash("model-file", body)

/** A model file: its body, then the content hash. */
export const sealModel = (body: Uint8Array): Uint8Array => concatBytes(body, contentHash(body))

/** The version that a model file says it has: 1 for a logistic regression, 2 for a network. Nothing else is looked at. */
export const modelFileVersion = (file: Uint8Array): number => {
  const split = file.length - DIGEST_BYTES
  if (split < MODEL_MAGIC.length + 2 || !equalBytes(file.subarray(0, MODEL_MAGIC.length), MODEL_MAGIC))
    unreadable("These bytes are no Consilium model file.")
  return 256 * (file[MODEL_MAGIC.length] as number) + (file[MODEL_MAGIC.length + 1] as number)
}

/**
 * The body of a model file of a version, its content hash checked.
 * @throws {ConsiliumError} "model/unreadable"
 */
export const openModel = (file: Uint8Array, version: number): Uint8Array => {
  const found = modelFileVersion(file)
  if (found !== version) unreadable(`A model file has version ${found}; this program reads ${version}.`)
  const body = new Uint8Array(file.subarray(0, file.length - DIGEST_BYTES))
  if (!equalBytes(contentHash(body), file.subarray(body.length)))
    unreadable("A model file is cut off or altered: its content hash is not that of its content.")
  return body
}

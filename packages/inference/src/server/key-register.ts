import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"

/** Which keys belong to which asker, and which nonces are used up: plain data, stored by the caller. */
export interface KeyRegister {
  /** Askers, by the hexadecimal id of their key. */
  readonly owners: Readonly<Record<string, string>>
  /** Hexadecimal nonces. */
  readonly usedNonces: readonly string[]
}

export const EMPTY_REGISTER: KeyRegister = { owners: {}, usedNonces: [] }

/**
 * The register with one key more.
 * @throws {ConsiliumError} "inference/key-replayed" if the key is known or its nonce used
 */
export const registerKey = (
  register: KeyRegister,
  asker: string,
  nonce: Uint8Array,
  { id }: { readonly id: Uint8Array },
): KeyRegister => {
  const [name, used] = [toHex(id), toHex(nonce)]
  if (Object.hasOwn(register.owners, name) || register.usedNonces.includes(used))
    throw new ConsiliumError(
      "inference/key-replayed",
      "A key, or the nonce that it was made for, is used already.",
    )
  return { owners: { ...register.owners, [name]: asker }, usedNonces: [...register.usedNonces, used] }
}

/**
 * Refuses a key that the asker did not upload.
 * @throws {ConsiliumError} "inference/unknown-key"
 */
export const checkOwner = (register: KeyRegister, asker: string, keyId: Uint8Array): void => {
  const name = toHex(keyId)
  if (!Object.hasOwn(register.owners, name) || register.owners[name] !== asker)
    throw new ConsiliumError(
      "inference/unknown-key",
      "A request names a key that its asker has not uploaded.",
    )
}

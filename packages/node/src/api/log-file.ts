import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { logEntryCodec } from "@consilium/federation/log"
import type { StudyHandle } from "./leader-service.js"

/** A number in 4 bytes, as lists begin in the canonical encoding. */
const listLength = (length: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, length)
  return bytes
}

/** A study's whole log as it is now, in the encoding of a list of entries, bit by bit. */
export async function* logBytes(handle: StudyHandle): AsyncGenerator<Uint8Array> {
  const { length } = handle
  yield listLength(length)
  if (length === 0) return
  for await (const entry of handle.entries()) {
    yield encode(logEntryCodec, entry)
    if (entry.header.seq >= length) return
  }
  throw new ConsiliumError("api/failed", `A log ended before its event ${length}.`)
}

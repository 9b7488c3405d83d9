import { createHash } from "node:crypto"
import { ConsiliumError } from "@consilium/base/errors"
import type { Answer, ParentLink } from "./parent-link.js"
import { CHUNK_BYTES, OFFSET_HEADER, UPLOAD_TYPE } from "./wire.js"

/** Brings bytes to the parent in chunks, from where it has them on; gives the digest they are referred to by. */
export const upload = async (link: ParentLink, bytes: Uint8Array): Promise<string> => {
  const digest = createHash("sha256").update(bytes).digest("hex")
  const path = `/v1/uploads/${digest}`
  let there = lengthIn(await link.exchange({ method: "HEAD", path }))
  while (there < bytes.length) {
    const chunk = bytes.subarray(there, there + CHUNK_BYTES)
    const answer = await link.exchange({
      method: "PUT",
      path: `${path}?offset=${there}`,
      body: chunk,
      type: UPLOAD_TYPE,
    })
    there += chunk.length
    if (lengthIn(answer) !== there) throw strange("counts the bytes of an upload otherwise")
  }
  return digest
}

const strange = (what: string): ConsiliumError => new ConsiliumError("network/refused", `The parent ${what}.`)

const lengthIn = ({ headers }: Answer): number => {
  const text = headers[OFFSET_HEADER]
  if (typeof text !== "string" || !/^\d{1,15}$/.test(text))
    throw strange("does not say how many bytes of an upload it has")
  return Number(text)
}

import { fixedBytes, list, record, u53 } from "@consilium/base/encoding"
import { type Milliseconds, milliseconds } from "@consilium/base/units"
import { envelopeList } from "@consilium/federation/messages"
import { signedRosterBytes } from "@consilium/federation/roster"

/** Some envelopes of a study on their way over one edge, numbered from `first` by the side that sends them. */
export const parcelCodec = record({ first: u53, envelopes: envelopeList })

/** What a parent answers to a parcel: the number of the last envelope it has, durably. */
export const receiptCodec = record({ taken: u53 })

/** The studies that a parent knows for one of its children, each as its latest signed roster. */
export const offersCodec = list(record({ study: fixedBytes(32), signed: signedRosterBytes }), 1024)

/** Most bytes of one parcel. */
export const MAX_PARCEL_BYTES = 80 << 20
/** Most bytes of the body of one request: a parcel that is larger goes up in chunks of this size. */
export const CHUNK_BYTES = 1 << 20
/** What a parcel adds to its envelopes, generously. */
export const PARCEL_OVERHEAD = 64
export const UPLOAD_TYPE = "application/octet-stream"
/** Header that says how many bytes of an upload a parent has. */
export const OFFSET_HEADER = "upload-offset"
/** Longest wait of a poll. */
export const POLL_TIME: Milliseconds = milliseconds(8_000)
export const PARCEL_TYPE = "application/vnd.consilium.parcel"

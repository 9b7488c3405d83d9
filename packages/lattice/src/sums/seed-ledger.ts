import { compareBytes, equalBytes, toHex } from "@consilium/base/bytes"
import { decode, encode, fixedBytes, sortedBy, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { type Point, pointBytes, type SumContext, sortedPoints, sumId } from "./sum-context.js"

/** Whose updates are summed: fixed before anybody answers. */
export interface SumRequest {
  readonly context: SumContext
  /** U: at least two facilities. */
  readonly cohort: readonly Point[]
}
/** Whose updates are summed and who opens. */
export interface OpeningRequest extends SumRequest {
  /** T: the t facilities that open. */
  readonly active: readonly Point[]
}

/** What one permit allows. */
export type Use = "protect" | "open" | "zero-test" | "zero-open" | "unmask"

class IssuedPermit<U extends Use> {
  readonly use: U
  readonly #binding: Uint8Array
  #spent = false

  constructor(use: U, binding: Uint8Array) {
    this.use = use
    this.#binding = binding
  }

  /** @throws {ConsiliumError} "lattice/already-used" the second time, or for anything but what was admitted */
  spend(binding: Uint8Array): void {
    if (this.#spent)
      throw new ConsiliumError("lattice/already-used", "A permit was to be used a second time.")
    if (!equalBytes(binding, this.#binding))
      throw new ConsiliumError("lattice/already-used", "A permit was to be used for something else.")
    this.#spent = true
  }
}
/** The right to do one thing once. Only a `SeedLedger` issues permits, and only for what it has not admitted before. */
export type Permit<U extends Use> = IssuedPermit<U>

/**
 * A first request comes with a permit and the ledger to store before anything is sent; the same request again comes
 * with neither: the answer that was stored is sent again.
 */
export type Admission<U extends Use> =
  | { readonly kind: "first"; readonly ledger: SeedLedger; readonly permit: Permit<U> }
  | { readonly kind: "repeated" }

interface Entry {
  readonly key: Uint8Array
  readonly request: Uint8Array
}
const digest = fixedBytes(32)
const entryCodec = {
  write: (writer: Parameters<typeof digest.write>[0], { key, request }: Entry): void => {
    digest.write(writer, key)
    digest.write(writer, request)
  },
  read: (reader: Parameters<typeof digest.read>[0]): Entry => ({
    key: digest.read(reader),
    request: digest.read(reader),
  }),
}
const entriesCodec = sortedBy(entryCodec, ({ key }) => key, 2 ** 24)

export const protectBinding = (context: SumContext): Uint8Array => hash("lattice/use/protect", sumId(context))
export const openBinding = (request: OpeningRequest, facilities: number): Uint8Array =>
  hash(
    "lattice/use/open",
    sumId(request.context),
    pointBytes(sortedPoints(request.cohort, facilities)),
    pointBytes(sortedPoints(request.active, facilities)),
  )
export const unmaskBinding = (request: SumRequest, facilities: number): Uint8Array =>
  hash("lattice/use/unmask", sumId(request.context), pointBytes(sortedPoints(request.cohort, facilities)))
export const zeroBinding = (
  use: "zero-test" | "zero-open",
  ceremony: Uint8Array,
  about: readonly Point[],
): Uint8Array => hash(`lattice/use/${use}`, ceremony, pointBytes(about))

/**
 * What one facility has used its key and its shares for in one key epoch: an immutable value that the caller stores
 * before it sends anything, together with the bytes it sends.
 *
 * A polynomial is protected once and opened once. Two rows under one A and one key give the difference of two vectors;
 * two partial openings of one polynomial give its error and with it the key, at any flooding. So a second vector, another
 * active set or another cohort for the same sum is refused, whoever asks.
 */
export class SeedLedger {
  /** Polynomials that may still be opened. */
  readonly polynomialsLeft: number
  readonly #entries: ReadonlyMap<string, Entry>

  private constructor(polynomialsLeft: number, entries: ReadonlyMap<string, Entry>) {
    this.polynomialsLeft = polynomialsLeft
    this.#entries = entries
  }

  /**
   * The ledger of a new epoch, with the polynomials that may be opened in it: `openable` of the parameters, from which the
   * ceremony's are taken off. Masked sums need none.
   */
  static begin(polynomials: number): SeedLedger {
    return new SeedLedger(polynomials, new Map())
  }

  /** @throws {ConsiliumError} "encoding/malformed" on anything `encode` would not have written */
  static decode(bytes: Uint8Array): SeedLedger {
    const left = decode(u32, bytes.subarray(0, 4))
    const entries = decode(entriesCodec, bytes.subarray(4))
    return new SeedLedger(left, new Map(entries.map((entry) => [toHex(entry.key), entry])))
  }
  encode(): Uint8Array {
    const entries = [...this.#entries.values()].sort((a, b) => compareBytes(a.key, b.key))
    const body = encode(entriesCodec, entries)
    const out = new Uint8Array(4 + body.length)
    out.set(encode(u32, this.polynomialsLeft))
    out.set(body, 4)
    return out
  }

  #admit<U extends Use>(
    use: U,
    about: Uint8Array,
    request: Uint8Array,
    cost: number,
    binding = request,
  ): Admission<U> {
    const key = hash("lattice/ledger-entry", utf8(use), about)
    const known = this.#entries.get(toHex(key))
    if (known !== undefined) {
      if (equalBytes(known.request, request)) return { kind: "repeated" }
      throw new ConsiliumError(
        "lattice/already-used",
        use === "protect"
          ? "This sum was protected before, with other values."
          : "This sum was answered before, for another cohort or other opening facilities.",
      )
    }
    if (cost > this.polynomialsLeft)
      throw new ConsiliumError(
        "lattice/worn-out",
        `An opening of ${cost} polynomials was asked for; this epoch's keys have ${this.polynomialsLeft} left.`,
      )
    const entries = new Map(this.#entries).set(toHex(key), { key, request })
    return {
      kind: "first",
      ledger: new SeedLedger(this.polynomialsLeft - cost, entries),
      permit: new IssuedPermit(use, binding),
    }
  }

  /** Asks to protect a vector for a sum. @throws {ConsiliumError} "lattice/already-used" if another one was */
  protect(context: SumContext, values: Int32Array): Admission<"protect"> {
    const request = hash("lattice/protected-values", int32Bytes(values))
    return this.#admit("protect", sumId(context), request, 0, protectBinding(context))
  }
  /**
   * Asks to answer an opening.
   * @throws {ConsiliumError} "lattice/already-used" for another T or U of a sum answered before, "lattice/worn-out" if
   *   the epoch's polynomials are spent, "lattice/bad-opening" for points that are none
   */
  open(
    parameters: { readonly literal: { readonly facilities: number }; readonly blocks: number },
    request: OpeningRequest,
  ): Admission<"open"> {
    const { literal, blocks } = parameters
    return this.#admit("open", sumId(request.context), openBinding(request, literal.facilities), blocks)
  }
  /** Asks to answer for the masks of a cohort. @throws {ConsiliumError} as `open` */
  unmask(
    { literal }: { readonly literal: { readonly facilities: number } },
    request: SumRequest,
  ): Admission<"unmask"> {
    return this.#admit("unmask", sumId(request.context), unmaskBinding(request, literal.facilities), 0)
  }
  /** Asks to make the ceremony's encryption of zero. */
  zeroTest(ceremony: Uint8Array): Admission<"zero-test"> {
    return this.#admit("zero-test", ceremony, zeroBinding("zero-test", ceremony, []), 0)
  }
  /** Asks to answer the ceremony's test opening of one dealer; the epoch's reserve pays. */
  zeroOpen(ceremony: Uint8Array, dealer: Point, active: readonly Point[]): Admission<"zero-open"> {
    const about = hash("lattice/zero-dealer", ceremony, pointBytes([dealer]))
    return this.#admit("zero-open", about, zeroBinding("zero-open", ceremony, [dealer, ...active]), 0)
  }
}

/** The bytes of a vector, the same on every machine. */
export const int32Bytes = (values: Int32Array): Uint8Array => {
  const out = new Uint8Array(4 * values.length)
  const view = new DataView(out.buffer)
  for (let i = 0; i < values.length; i++) view.setInt32(4 * i, values[i] as number, true)
  return out
}

import { type Codec, f64, list, oneOf, record, u8, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type LayerDescription, type NetworkDescription, networkShape } from "./description.js"

const malformed = (message: string): never => {
  throw new ConsiliumError("encoding/malformed", message)
}

/** Lists of one length only, so that the length has one encoding: none. */
const many = (item: Codec<number>, length: number): Codec<readonly number[]> => ({
  write(writer, value) {
    if (value.length !== length)
      throw new ConsiliumError("encoding/bad-value", `${length} numbers were expected, not ${value.length}.`)
    for (const element of value) item.write(writer, element)
  },
  read: (reader) => Array.from({ length }, () => item.read(reader)),
})

const place = { size: many(u32, 2), stride: many(u32, 2) }

/** The settings of each kind of layer. Their order is part of the encoding. */
const LAYERS = {
  dense: record({ outputs: u32 }),
  conv2d: record({ channels: u32, ...place, padding: many(u32, 4) }),
  "max-pool": record(place),
  "average-pool": record(place),
  "group-norm": record({ groups: u32 }),
  relu: record({}),
  square: record({}),
  polynomial: record({ coefficients: list(f64, 17) }),
  flatten: record({}),
  dropout: record({ rate: f64 }),
} as const satisfies Record<LayerDescription["kind"], Codec<never> | Codec<object>>
const KINDS = Object.keys(LAYERS) as readonly LayerDescription["kind"][]

const layerCodec: Codec<LayerDescription> = {
  write(writer, layer) {
    u8.write(writer, KINDS.indexOf(layer.kind))
    // zero has one sign in a file
    const value =
      layer.kind === "polynomial" ? { coefficients: layer.coefficients.map((x) => x + 0) } : { ...layer }
    ;(LAYERS[layer.kind] as Codec<object>).write(writer, value)
  },
  read(reader) {
    const kind = KINDS[u8.read(reader)] ?? malformed("A layer is of no known kind.")
    return { kind, ...(LAYERS[kind] as Codec<object>).read(reader) } as LayerDescription
  },
}

const plainCodec = record({
  loss: oneOf("sigmoid-cross-entropy", "softmax-cross-entropy", "squared-error"),
  input: list(u32, 3),
  layers: list(layerCodec, 256),
})

/** Canonical bytes of what a network computes, apart from its parameters. */
export const descriptionCodec: Codec<NetworkDescription> = {
  write(writer, value) {
    networkShape(value)
    plainCodec.write(writer, value)
  },
  read(reader) {
    const value = plainCodec.read(reader) as NetworkDescription
    networkShape(value)
    return value
  },
}

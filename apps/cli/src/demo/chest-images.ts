import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import type { FacilityFileInput } from "@consilium/node/config/role-files"
import { dealByClass } from "@consilium/records/deal-by-class"
import { encodeIdx, type IdxFile, readIdx } from "@consilium/records/images/idx"

/** The two answers of PneumoniaMNIST, and the size of its images. */
export const CHEST_CLASSES = ["normal", "pneumonia"] as const
export const CHEST_SIDE = 28
/** Images that the data set is trained on: published, so a study may reckon with it. */
export const CHEST_IMAGES = 4708

/** How unlike the facilities are made: concentration and seed of the deal, whatever else is seeded. */
const ALPHA = 0.5
const SEED = 42

/** Images of one part of the data set, as bytes. */
interface Part {
  readonly images: IdxFile
  readonly labels: IdxFile
}

/** What one facility is dealt: images to train on and images to test on. */
export interface ChestImages {
  readonly name: string
  readonly train: Part
  readonly holdOut: Part
}

const readPart = async (folder: string, name: "train" | "val" | "test"): Promise<Part> => {
  const file = async (what: string): Promise<IdxFile> => {
    const path = resolve(folder, `${name}-${what}-ubyte`)
    const bytes = await readFile(path).catch((cause) => {
      throw new ConsiliumError("records/unreadable", `${path} is not there.`, {
        remedy:
          "Give the folder that holds PneumoniaMNIST as IDX files: train-, val- and test-images.idx3-ubyte and -labels.idx1-ubyte.",
        cause,
      })
    })
    return readIdx(path, new Uint8Array(bytes))
  }
  return { images: await file("images.idx3"), labels: await file("labels.idx1") }
}

/** The folder of the data set, which `--data` must name. */
export const chestFolder = (data: string | null): string => {
  if (data !== null) return data
  throw new ConsiliumError("cli/usage", "The pneumonia study needs the folder of PneumoniaMNIST.", {
    remedy: "Add --data DIR; the files are at medmnist.com. Without data, --study simulated runs.",
  })
}

const picked = ({ images, labels }: Part, places: readonly number[]): Part => {
  const [, height = 0, width = 0] = images.shape
  const size = height * width
  const values = new Uint8Array(places.length * size)
  places.forEach((at, i) => {
    values.set(images.values.subarray(at * size, (at + 1) * size), i * size)
  })
  return {
    images: { shape: [places.length, height, width], values },
    labels: { shape: [places.length], values: Uint8Array.from(places, (at) => labels.values[at] as number) },
  }
}

const chestNames = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `hospital-${i + 1}`)

/**
 * Deals the images to train and to validate with, so that hospitals differ: each has its own share of either class. The
 * same deal for everybody who asks for as many hospitals.
 */
export const dealChestImages = async (data: string, facilities: number): Promise<readonly ChestImages[]> => {
  const [train, holdOut] = [await readPart(data, "train"), await readPart(data, "val")]
  const count = train.labels.values.length
  const dealt = dealByClass({
    labels: [...train.labels.values, ...holdOut.labels.values],
    facilities,
    alpha: ALPHA,
    random: insecureSeededRandom(SEED, "partition"),
  })
  return chestNames(facilities).map((name, i) => {
    const places = dealt[i] as readonly number[]
    const own = places.filter((at) => at < count)
    if (own.length === 0)
      throw new ConsiliumError("cli/usage", `${name} of ${facilities} hospitals is dealt no image.`, {
        remedy: "Name fewer facilities.",
      })
    return {
      name,
      train: picked(train, own),
      holdOut: picked(
        holdOut,
        places.flatMap((at) => (at < count ? [] : [at - count])),
      ),
    }
  })
}

/** The images that nobody is dealt: everybody's models are tested on them. */
export const chestTestImages = (data: string): Promise<Part> => readPart(data, "test")

/** What a hospital's own configuration says of its images. */
export const chestRecords = (): FacilityFileInput["records"] => ({
  format: "idx",
  images: "images.idx",
  labels: "labels.idx",
  hold_out: { images: "held-out-images.idx", labels: "held-out-labels.idx" },
  classes: [...CHEST_CLASSES],
})

/** Writes what each hospital is dealt where its own configuration looks for it. */
export const writeChestImages = async (folder: string, dealt: readonly ChestImages[]): Promise<void> => {
  for (const { name, train, holdOut } of dealt) {
    const local = join(folder, name, "local")
    await mkdir(local, { recursive: true, mode: 0o700 })
    for (const [part, file] of [
      [train, ""],
      [holdOut, "held-out-"],
    ] as const) {
      await writeFile(join(local, `${file}images.idx`), encodeIdx(part.images), { mode: 0o600 })
      await writeFile(join(local, `${file}labels.idx`), encodeIdx(part.labels), { mode: 0o600 })
    }
  }
}

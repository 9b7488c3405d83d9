import { readdir, readFile } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import type { Study } from "@consilium/federation/study"
import { readIdxImages } from "@consilium/records/images/idx"
import type { LabelledImages } from "@consilium/records/images/images"
import { type FolderFile, readPngFolder } from "@consilium/records/images/png-folder"
import type { LabelledRows } from "@consilium/records/rows"
import type { FacilityFile } from "./config/role-files.js"

/** The part of facility.yaml that names images. */
export type ImageSource = Extract<FacilityFile["records"], { format: "idx" | "png-folder" }>

/** What a facility's images are, so that a study can tell whether they are those that it trains on. */
export interface ImageForm {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly classes: readonly string[]
}

/** A facility's images as rows, pixels in [0, 1] as columns without names; and those held out, where they come apart. */
export interface ImageRows {
  readonly form: ImageForm
  readonly rows: LabelledRows
  readonly holdOut: LabelledRows | null
}

export const isImageSource = (records: FacilityFile["records"]): records is ImageSource =>
  records.format === "idx" || records.format === "png-folder"

const unreadable = (what: string, path: string, cause: unknown): never => {
  throw new ConsiliumError("records/unreadable", `The ${what} cannot be read from ${path}.`, { cause })
}

const bytesOf = async (path: string): Promise<Uint8Array> =>
  new Uint8Array(await readFile(path).catch((cause) => unreadable("images", path, cause)))

/** The files one folder below, as `readPngFolder` wants them. */
const filesBelow = async (folder: string, classes: readonly string[]): Promise<readonly FolderFile[]> => {
  const files: FolderFile[] = []
  for (const name of classes) {
    const inside = join(folder, name)
    const names = await readdir(inside).catch((cause) => unreadable("images", inside, cause))
    for (const file of names.sort())
      files.push({ path: `${name}/${file}`, bytes: await bytesOf(join(inside, file)) })
  }
  return files
}

/** The patient that a file's name tells: all before the separator; without one, each file is another patient's. */
const patientBefore =
  (separator: string) =>
  (path: string): string => {
    const name = path.slice(path.indexOf("/") + 1)
    const at = name.indexOf(separator)
    return at < 0 ? name : name.slice(0, at)
  }

const rowsOf = (images: LabelledImages): LabelledRows => ({
  names: [],
  columns: images.height * images.width * images.channels,
  rows: images.count,
  features: Float64Array.from(images.pixels),
  labels: Uint8Array.from(images.labels),
  patients: images.patients,
})

/** @throws {ConsiliumError} "records/unreadable", "records/bad-image", "config/invalid" */
export const readImages = async (configPath: string, source: ImageSource): Promise<ImageRows> => {
  const path = (file: string): string => resolve(dirname(resolve(configPath)), file)
  const read = async (part: string, held: boolean): Promise<LabelledImages | null> => {
    if (source.format === "idx") {
      const files = held ? source.hold_out : source
      if (files === null) return null
      const [images, labels] = await Promise.all([bytesOf(path(files.images)), bytesOf(path(files.labels))])
      return readIdxImages({ name: part, images, labels }, source.classes)
    }
    const folder = held ? source.hold_out : source.folder
    if (folder === null) return null
    const { classes, height, width, channels, resize, patient_until: separator } = source
    return readPngFolder(await filesBelow(path(folder), classes), {
      classes,
      height,
      width,
      channels,
      resize,
      ...(separator === null ? {} : { patientOf: patientBefore(separator) }),
    })
  }
  const images = (await read("the facility", false)) as LabelledImages
  const holdOut = await read("the facility's hold-out", true)
  const { height, width, channels, classes } = images
  const form = { height, width, channels, classes }
  if (holdOut !== null && !sameForm(form, holdOut))
    throw new ConsiliumError("config/invalid", "The images held out have another size than the others.")
  return { form, rows: rowsOf(images), holdOut: holdOut && rowsOf(holdOut) }
}

const sameForm = (one: Omit<ImageForm, "classes">, other: Omit<ImageForm, "classes">): boolean =>
  one.height === other.height && one.width === other.width && one.channels === other.channels

const told = ({ height, width, channels, classes }: ImageForm): string =>
  `${height} x ${width} x ${channels} of ${classes.join(" and ")}`

/** @throws {ConsiliumError} "config/invalid" if the study does not train on such images */
export const checkImageForm = (form: ImageForm, { model }: Pick<Study, "model">): void => {
  if (model.kind !== "network" || model.images === null)
    throw new ConsiliumError(
      "config/invalid",
      "This facility's records are images; the study trains on columns of a table.",
      { remedy: "Take no part in it, or name a table in facility.yaml." },
    )
  const [height, width = 0, channels = 0] = model.description.input
  const { classes } = model.images
  if (!sameForm(form, { height, width, channels }) || form.classes.join("\0") !== classes.join("\0"))
    throw new ConsiliumError(
      "config/invalid",
      `The study trains on images of ${told({ height, width, channels, classes })}; this facility's are ${told(form)}.`,
      { remedy: "Name the study's classes in records.classes, in its order, and images of its size." },
    )
}

/** Pixels as the study's network takes them: by declared constants, so that nothing is computed from the patients here. */
export const scaledPixels = (rows: LabelledRows, { model }: Pick<Study, "model">): LabelledRows => {
  if (model.kind !== "network" || model.images === null) return rows
  const { means, deviations } = model.images
  const channels = means.length
  return {
    ...rows,
    // once rounded to 32 bits, which is what the network takes
    features: rows.features.map((value, i) =>
      Math.fround((value - (means[i % channels] as number)) / (deviations[i % channels] as number)),
    ),
  }
}

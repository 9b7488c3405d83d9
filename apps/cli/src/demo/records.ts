import { facilityFileSchema } from "@consilium/node/config/role-files"
import { type RawRecords, readRecords } from "@consilium/node/local-records"
import type { DemoLayout } from "./layout.js"

/** The rows of every facility, by name. */
export type Records = ReadonlyMap<string, RawRecords>

/** Reads all records, so that a file that cannot be used is told before anything starts. */
export const recordsOf = async ({ facilities }: Pick<DemoLayout, "facilities">): Promise<Records> =>
  new Map(
    await Promise.all(
      [...facilities].map(
        async ([name, { configPath, file }]) =>
          [name, await readRecords(name, configPath, facilityFileSchema.parse(file))] as const,
      ),
    ),
  )

import { access } from "node:fs/promises"
import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/**
 * Refuses a folder with a file in the way before anything is written.
 * @throws {ConsiliumError} "cli/file-exists"
 */
export const checkFree = async (folder: string, names: readonly string[], remedy: string): Promise<void> => {
  for (const name of names)
    if (await isThere(join(folder, name)))
      throw new ConsiliumError("cli/file-exists", `${join(folder, name)} is there already.`, { remedy })
}

import { link, unlink } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { errno, storeError, syncFolder, writeFileAtomic, writeTemporary } from "@consilium/node/store/files"

/** Writes a file that appears whole or not at all, for this user only; over one that is there only by force. */
export const writeReport = async (out: string, bytes: Uint8Array, force: boolean): Promise<void> => {
  const path = resolve(out)
  const folder = dirname(path)
  try {
    if (force) return await writeFileAtomic(path, bytes)
    const temporary = await writeTemporary(folder, bytes)
    // unlike a rename, a link fails where a file is
    await link(temporary, path).finally(() => unlink(temporary))
    await syncFolder(folder)
  } catch (error) {
    if (errno(error) === "EEXIST")
      throw new ConsiliumError("cli/file-exists", `${out} is there already.`, { cause: error })
    throw storeError(error, `write ${out}`)
  }
}

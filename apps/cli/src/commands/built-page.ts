import { access } from "node:fs/promises"
import { fileURLToPath } from "node:url"

const PAGE = fileURLToPath(new URL("../../../dashboard/dist/page", import.meta.url))

/** The folder of the built pages, where this installation has it. */
export const builtPage = (): Promise<string | null> =>
  access(PAGE).then(
    () => PAGE,
    () => null,
  )

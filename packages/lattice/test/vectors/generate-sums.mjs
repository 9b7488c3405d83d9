/**
 * Writes sums.json: the digests of one small sum in every scheme, computed by the plain twins of all kernels.
 *
 *     node packages/lattice/test/vectors/generate-sums.mjs            (from the root of the tree)
 */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../..", import.meta.url))
execFileSync(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", "--project", "fast", "packages/lattice/test/sums.vectors"],
  { cwd: root, stdio: "inherit", env: { ...process.env, CONSILIUM_WRITE_VECTORS: "1" } },
)

/**
 * Writes sums.json: the digests of one small sum under ckks, bfv and masked, and of the shares of keys, computed with the
 * lattice package alone and the plain twins of its kernels.
 *
 *     node packages/federation/test/vectors/generate-sums.mjs            (from the root of the tree)
 */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../..", import.meta.url))
execFileSync(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", "--project", "fast", "packages/federation/test/sums.vectors"],
  { cwd: root, stdio: "inherit", env: { ...process.env, CONSILIUM_WRITE_VECTORS: "1" } },
)

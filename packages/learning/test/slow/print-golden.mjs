// Prints the hashes of the golden trainings that its arguments name, one a line. Uses the built package.
import { goldenHash } from "@consilium/learning/network/golden"

for (const name of process.argv.slice(2)) process.stdout.write(`${goldenHash(name)}\n`)

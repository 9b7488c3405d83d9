import { insecureSeededRandom } from "@consilium/base/testing"
import { nttPrimes } from "../src/ring/primes.js"
import { Ring } from "../src/ring/ring.js"

/**
 * Decodes byte strings that are random, altered, cut or lengthened. What is accepted must be packed to the same bytes
 * again; what is refused must be refused with "lattice/malformed".
 */
export const fuzzPacked = (
  runs: number,
  label: string,
  isTyped: (error: unknown, code: "lattice/malformed") => boolean,
): { readonly runs: number; readonly problems: readonly string[] } => {
  const ring = Ring.of(1024, nttPrimes(1024, 26, 1))
  const random = insecureSeededRandom("fuzz", label)
  const problems: string[] = []
  const good = ring.pack(ring.uniformSecret(random))
  for (let run = 0; run < runs; run++) {
    const [kind = 0, at0 = 0, at1 = 0, value = 0, size = 0] = random.bytes(5)
    let bytes: Uint8Array = good.slice()
    if (kind % 4 === 0) bytes = random.bytes(kind % 8 === 0 ? ring.packedLength : size)
    else if (kind % 4 === 1) bytes[(256 * at0 + at1) % bytes.length] = value
    else if (kind % 4 === 2) bytes.fill(255, (256 * at0 + at1) % bytes.length, bytes.length - size)
    else bytes = bytes.subarray(0, bytes.length - (kind % 8 === 3 ? size : 0))
    try {
      const a = ring.unpackCoefficients(bytes)
      const again = ring.pack(a)
      if (!ring.isReduced(a) || again.some((byte, i) => byte !== bytes[i]))
        problems.push(`run ${run}: accepted what pack does not write`)
    } catch (error) {
      if (!isTyped(error, "lattice/malformed")) problems.push(`run ${run}: ${String(error)}`)
    }
  }
  return { runs, problems }
}

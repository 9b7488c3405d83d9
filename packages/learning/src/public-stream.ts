import { hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { PrfStream, SecretKey } from "@consilium/base/random"

/**
 * A stream that everybody who knows the seed can compute: for what all must agree on and nobody needs to hide, such as
 * first parameters. Never for masks, noise or the order of rows.
 */
export const publicStream = (seed: string, ...labels: readonly string[]): PrfStream =>
  new PrfStream(new SecretKey(hash("public-seed", utf8(seed))), ...labels)

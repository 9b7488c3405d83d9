import { toHex } from "@consilium/base/bytes"
import { newSecretKey, SecretKey } from "@consilium/base/random"
import { insecureSeededSecret } from "@consilium/base/testing"
import { type Study, studyDigest } from "@consilium/federation/study"
import type { Sealed } from "../store/sealed.js"

/**
 * A facility's secret of each round: drawn from the system's generator and sealed on disk before its first use, erased
 * when the round closes. In a study with a public seed it follows from the seed instead, and protects nothing.
 */
export class RoundSecrets {
  readonly #sealed: Sealed
  readonly #study: Study
  readonly #facility: string
  readonly #prefix: string

  constructor(sealed: Sealed, study: Study, facility: string) {
    this.#sealed = sealed
    this.#study = study
    this.#facility = facility
    this.#prefix = `round-secret-${toHex(studyDigest(study)).slice(0, 16)}-`
  }

  async of(round: number): Promise<SecretKey> {
    const { insecureSeed, name } = this.#study
    if (insecureSeed !== null) return seededRoundSecret(name, insecureSeed, this.#facility, round)
    const saved = await this.#sealed.get(this.#fileOf(round))
    if (saved !== null) return new SecretKey(saved)
    const secret = newSecretKey()
    await this.#sealed.put(this.#fileOf(round), secret.expose())
    return secret
  }

  /**
   * A secret for one key ceremony: drawn anew each time, for nothing was dealt from one that was not recorded. In a study with
   * a public seed it follows from the seed.
   */
  ofEpoch(epoch: number): SecretKey {
    const { insecureSeed, name } = this.#study
    return insecureSeed === null
      ? newSecretKey()
      : insecureSeededSecret(insecureSeed, "epoch-secret", name, this.#facility, String(epoch))
  }

  async forget(round: number): Promise<void> {
    await this.#sealed.erase(this.#fileOf(round))
  }

  /** Erases every secret of this study: when it is over, or when no round is under way after a crash. */
  async forgetAll(): Promise<void> {
    for (const name of await this.#sealed.names())
      if (name.startsWith(this.#prefix)) await this.#sealed.erase(name)
  }

  #fileOf(round: number): string {
    return `${this.#prefix}${round}`
  }
}

/** The secret of a round in a study with a public seed. */
export const seededRoundSecret = (study: string, seed: number, facility: string, round: number): SecretKey =>
  insecureSeededSecret(seed, "round-secret", study, facility, String(round))

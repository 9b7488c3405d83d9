import { newSecretKey } from "@consilium/base/random"
import { type Sealed, type SealedBox, sealedBox } from "./sealed.js"

/** Sealed bytes that are kept nowhere beyond this process. */
export class SealedMemory implements Sealed {
  readonly #box: SealedBox = sealedBox(newSecretKey())
  readonly #held = new Map<string, Uint8Array>()

  async put(name: string, plaintext: Uint8Array): Promise<void> {
    await this.erase(name)
    this.#held.set(name, this.#box.seal(name, plaintext))
  }

  async get(name: string): Promise<Uint8Array | null> {
    const sealed = this.#held.get(name)
    return sealed === undefined ? null : this.#box.open(name, sealed)
  }

  async names(): Promise<string[]> {
    return [...this.#held.keys()].sort()
  }

  async erase(name: string): Promise<boolean> {
    this.#held.get(name)?.fill(0)
    return this.#held.delete(name)
  }
}

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

/** One block of ChaCha20: sixteen words of state in, sixteen words of the stream out. */
const block = (start: Uint32Array): Uint32Array => {
  const s = start.slice()
  const step = (into: number, from: number, changed: number, by: number): void => {
    s[into] = (s[into] as number) + (s[from] as number)
    s[changed] = rotate((s[changed] as number) ^ (s[into] as number), by)
  }
  const quarterRound = (a: number, b: number, c: number, d: number): void => {
    step(a, b, d, 16)
    step(c, d, b, 12)
    step(a, b, d, 8)
    step(c, d, b, 7)
  }
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) quarterRound(i, i + 4, i + 8, i + 12)
    for (let i = 0; i < 4; i++) quarterRound(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4))
  }
  return s.map((word, i) => word + (start[i] as number))
}

/**
 * The words of a ChaCha20 key stream, little-endian, from block `counter` on: the plain twin of assembly/chacha.ts.
 *
 * Source: RFC 8439, sections 2.1 to 2.3
 */
export function* keyStreamWords(
  key: Uint8Array,
  nonce: readonly [number, number, number],
  counter = 0,
): Generator<number, never> {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
  const state = Uint32Array.from([
    ...[0x61707865, 0x3320646e, 0x79622d32, 0x6b206574],
    ...Array.from({ length: 8 }, (_, i) => view.getUint32(4 * i, true)),
    ...[counter, ...nonce],
  ])
  for (;;) {
    yield* block(state)
    state[12] = (state[12] as number) + 1
  }
}

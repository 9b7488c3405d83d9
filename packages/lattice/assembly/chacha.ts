/**
 * The key stream of ChaCha20 (RFC 8439), four blocks at a time: vector w holds word w of the four. The counter has 32
 * bits; callers take less than 2^32 blocks under one key and nonce.
 */
const state: usize = memory.data(64, 16)
const work: usize = memory.data(256, 16)
const stream: usize = memory.data(256, 16)
const ROW: usize = 16

function rotate16(x: v128): v128 {
  return i8x16.shuffle(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
}
function rotate12(x: v128): v128 {
  return v128.or(i32x4.shl(x, 12), i32x4.shr_u(x, 20))
}
function rotate8(x: v128): v128 {
  return i8x16.shuffle(x, x, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14)
}
function rotate7(x: v128): v128 {
  return v128.or(i32x4.shl(x, 7), i32x4.shr_u(x, 25))
}

/** Where the 32 bytes of the key go. */
export function keyPointer(): usize {
  return state + 16
}
/** The fixed words, the counter and the nonce. */
export function begin(counter: u32, first: u32, second: u32, third: u32): void {
  v128.store(state, i32x4(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574))
  store<u32>(state, counter, 48)
  store<u32>(state, first, 52)
  store<u32>(state, second, 56)
  store<u32>(state, third, 60)
}
/** Forgets the key and all of the stream. */
export function forget(): void {
  memory.fill(state, 0, 64)
  memory.fill(work, 0, 256)
  memory.fill(stream, 0, 256)
}

function initial(word: usize): v128 {
  return v128.load32_splat(state + (word << 2))
}

/** Writes the next 256 bytes of the stream. */
export function fourBlocks(into: usize): void {
  const counters = i32x4.add(initial(12), i32x4(0, 1, 2, 3))
  let x0 = initial(0)
  let x1 = initial(1)
  let x2 = initial(2)
  let x3 = initial(3)
  let x4 = initial(4)
  let x5 = initial(5)
  let x6 = initial(6)
  let x7 = initial(7)
  let x8 = initial(8)
  let x9 = initial(9)
  let x10 = initial(10)
  let x11 = initial(11)
  let x12 = counters
  let x13 = initial(13)
  let x14 = initial(14)
  let x15 = initial(15)
  for (let round = 0; round < 10; round++) {
    x0 = i32x4.add(x0, x4)
    x1 = i32x4.add(x1, x5)
    x2 = i32x4.add(x2, x6)
    x3 = i32x4.add(x3, x7)
    x12 = rotate16(v128.xor(x12, x0))
    x13 = rotate16(v128.xor(x13, x1))
    x14 = rotate16(v128.xor(x14, x2))
    x15 = rotate16(v128.xor(x15, x3))
    x8 = i32x4.add(x8, x12)
    x9 = i32x4.add(x9, x13)
    x10 = i32x4.add(x10, x14)
    x11 = i32x4.add(x11, x15)
    x4 = rotate12(v128.xor(x4, x8))
    x5 = rotate12(v128.xor(x5, x9))
    x6 = rotate12(v128.xor(x6, x10))
    x7 = rotate12(v128.xor(x7, x11))
    x0 = i32x4.add(x0, x4)
    x1 = i32x4.add(x1, x5)
    x2 = i32x4.add(x2, x6)
    x3 = i32x4.add(x3, x7)
    x12 = rotate8(v128.xor(x12, x0))
    x13 = rotate8(v128.xor(x13, x1))
    x14 = rotate8(v128.xor(x14, x2))
    x15 = rotate8(v128.xor(x15, x3))
    x8 = i32x4.add(x8, x12)
    x9 = i32x4.add(x9, x13)
    x10 = i32x4.add(x10, x14)
    x11 = i32x4.add(x11, x15)
    x4 = rotate7(v128.xor(x4, x8))
    x5 = rotate7(v128.xor(x5, x9))
    x6 = rotate7(v128.xor(x6, x10))
    x7 = rotate7(v128.xor(x7, x11))
    x0 = i32x4.add(x0, x5)
    x1 = i32x4.add(x1, x6)
    x2 = i32x4.add(x2, x7)
    x3 = i32x4.add(x3, x4)
    x15 = rotate16(v128.xor(x15, x0))
    x12 = rotate16(v128.xor(x12, x1))
    x13 = rotate16(v128.xor(x13, x2))
    x14 = rotate16(v128.xor(x14, x3))
    x10 = i32x4.add(x10, x15)
    x11 = i32x4.add(x11, x12)
    x8 = i32x4.add(x8, x13)
    x9 = i32x4.add(x9, x14)
    x5 = rotate12(v128.xor(x5, x10))
    x6 = rotate12(v128.xor(x6, x11))
    x7 = rotate12(v128.xor(x7, x8))
    x4 = rotate12(v128.xor(x4, x9))
    x0 = i32x4.add(x0, x5)
    x1 = i32x4.add(x1, x6)
    x2 = i32x4.add(x2, x7)
    x3 = i32x4.add(x3, x4)
    x15 = rotate8(v128.xor(x15, x0))
    x12 = rotate8(v128.xor(x12, x1))
    x13 = rotate8(v128.xor(x13, x2))
    x14 = rotate8(v128.xor(x14, x3))
    x10 = i32x4.add(x10, x15)
    x11 = i32x4.add(x11, x12)
    x8 = i32x4.add(x8, x13)
    x9 = i32x4.add(x9, x14)
    x5 = rotate7(v128.xor(x5, x10))
    x6 = rotate7(v128.xor(x6, x11))
    x7 = rotate7(v128.xor(x7, x8))
    x4 = rotate7(v128.xor(x4, x9))
  }
  v128.store(work, i32x4.add(x0, initial(0)))
  v128.store(work, i32x4.add(x1, initial(1)), 16)
  v128.store(work, i32x4.add(x2, initial(2)), 32)
  v128.store(work, i32x4.add(x3, initial(3)), 48)
  v128.store(work, i32x4.add(x4, initial(4)), 64)
  v128.store(work, i32x4.add(x5, initial(5)), 80)
  v128.store(work, i32x4.add(x6, initial(6)), 96)
  v128.store(work, i32x4.add(x7, initial(7)), 112)
  v128.store(work, i32x4.add(x8, initial(8)), 128)
  v128.store(work, i32x4.add(x9, initial(9)), 144)
  v128.store(work, i32x4.add(x10, initial(10)), 160)
  v128.store(work, i32x4.add(x11, initial(11)), 176)
  v128.store(work, i32x4.add(x12, counters), 192)
  v128.store(work, i32x4.add(x13, initial(13)), 208)
  v128.store(work, i32x4.add(x14, initial(14)), 224)
  v128.store(work, i32x4.add(x15, initial(15)), 240)
  // from one word of four blocks to four words of one block
  for (let row: usize = 0; row < 4; row++) {
    const from = work + row * 4 * ROW
    const a = v128.load(from)
    const b = v128.load(from, 16)
    const c = v128.load(from, 32)
    const d = v128.load(from, 48)
    const ab = i32x4.shuffle(a, b, 0, 4, 1, 5)
    const cd = i32x4.shuffle(c, d, 0, 4, 1, 5)
    const abHigh = i32x4.shuffle(a, b, 2, 6, 3, 7)
    const cdHigh = i32x4.shuffle(c, d, 2, 6, 3, 7)
    const to = into + row * ROW
    v128.store(to, i32x4.shuffle(ab, cd, 0, 1, 4, 5))
    v128.store(to, i32x4.shuffle(ab, cd, 2, 3, 6, 7), 64)
    v128.store(to, i32x4.shuffle(abHigh, cdHigh, 0, 1, 4, 5), 128)
    v128.store(to, i32x4.shuffle(abHigh, cdHigh, 2, 3, 6, 7), 192)
  }
  store<u32>(state, load<u32>(state, 48) + 4, 48)
}

/** The next 256 bytes of the stream, in a place of their own. */
export function nextPortion(): usize {
  fourBlocks(stream)
  return stream
}
/** Writes the next bytes of the stream, a multiple of 256. */
export function keyStream(into: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 256) fourBlocks(into + at)
}

import type { RandomSource } from "@consilium/base/random"
import type { Kernel } from "../kernel/kernel.js"
import { rowSize } from "./description.js"
import type { Plan } from "./plan.js"

/**
 * Draws the dropout masks of a batch, layer by layer and row by row, four bytes of the stream a number.
 *
 * Math: a number is dropped if its 32 bits, little-endian, are below rate 2^32; the rest is scaled by 1 / (1 - rate)
 */
export const drawMasks = (kernel: Kernel, plan: Plan, rows: number, random: RandomSource): void => {
  plan.shape.layers.forEach(({ layer, output }, at) => {
    const mask = plan.masks[at] as number
    if (layer.kind !== "dropout" || mask === 0) return
    const count = rows * rowSize(output)
    const threshold = layer.rate * 0x100000000
    const kept = 1 / (1 - layer.rate)
    const bytes = random.bytes(4 * count)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let i = 0; i < count; i++)
      kernel.floats[mask / 4 + i] = view.getUint32(4 * i, true) < threshold ? 0 : kept
  })
}

import { type Kernel, memoryViews } from "./kernel.js"
import { referenceElements } from "./reference-elements.js"
import { referenceImages } from "./reference-images.js"
import { referenceLosses } from "./reference-losses.js"
import { referenceMatrices } from "./reference-matrices.js"
import { referenceNorms } from "./reference-norms.js"
import { referenceOptimisers } from "./reference-optimisers.js"

/** The kernels in plain JavaScript on a buffer of any kind: the definition of what every kernel computes, to the bit. */
export const attachReferenceKernel = (buffer: ArrayBufferLike): Kernel => {
  const memory = memoryViews(buffer)
  return {
    ...memory,
    ...referenceElements(memory),
    ...referenceImages(memory),
    ...referenceLosses(memory),
    ...referenceMatrices(memory),
    ...referenceNorms(memory),
    ...referenceOptimisers(memory),
  }
}

/** The reference kernel on a memory of its own, of at least so many bytes. */
export const referenceKernel = (bytes: number): Kernel =>
  attachReferenceKernel(new ArrayBuffer(Math.ceil(bytes / 16) * 16))

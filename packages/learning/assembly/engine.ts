/** The engine's kernels; `src/kernel/kernel.ts` says what each computes. No static data: the memory is the caller's. */
export { columnsToImage, imageToColumns } from "./convolution"
export {
  add,
  addOuterNorms,
  clipFactors,
  copy,
  exp,
  fill,
  finite,
  log,
  multiply,
  polynomial,
  relu,
  reluBackward,
  scale,
  sigmoid,
  sum,
} from "./elementwise"
export { gemm } from "./gemm"
export { groupNorm, groupNormBackward } from "./group-norm"
export { integerGemm } from "./integers"
export { sigmoidCrossEntropy, softmax, softmaxCrossEntropy, squaredError } from "./losses"
export {
  columnSums,
  gatherRows,
  matrixVector,
  rowSquaredNorms,
  scaleRows,
  vectorMatrix,
} from "./matrix-vector"
export { adamStep, momentumStep, sgdStep } from "./optimisers"
export { averagePool, averagePoolBackward, maxPool, maxPoolBackward } from "./pooling"

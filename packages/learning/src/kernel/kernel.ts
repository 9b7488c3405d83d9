/**
 * A place in the engine's memory, in bytes, a multiple of 4. Matrices lie there row by row; images row by row with the
 * channels of a pixel together. Numbers are 32-bit floats unless a function says otherwise.
 */
export type Address = number

/** The window of a convolution or a pooling, and the image it moves over. */
export interface ImageKernels {
  /**
   * One image as a matrix: a row for each output position, in it the window's lines, each kernelWidth * channels long.
   * What lies outside the image is zero.
   */
  imageToColumns(
    height: number,
    width: number,
    channels: number,
    kernelHeight: number,
    kernelWidth: number,
    strideY: number,
    strideX: number,
    top: number,
    left: number,
    outHeight: number,
    outWidth: number,
    image: Address,
    columns: Address,
  ): void
  /** The transpose of `imageToColumns`: every entry is added to its pixel, from zero, in the order of the matrix. */
  columnsToImage(
    height: number,
    width: number,
    channels: number,
    kernelHeight: number,
    kernelWidth: number,
    strideY: number,
    strideX: number,
    top: number,
    left: number,
    outHeight: number,
    outWidth: number,
    columns: Address,
    image: Address,
  ): void
  /** The largest of each window, and (32-bit integers) its place there, the first of equals. Windows lie inside. */
  maxPool(
    rows: number,
    height: number,
    width: number,
    channels: number,
    kernelHeight: number,
    kernelWidth: number,
    strideY: number,
    strideX: number,
    outHeight: number,
    outWidth: number,
    x: Address,
    y: Address,
    indices: Address,
  ): void
  maxPoolBackward(
    rows: number,
    height: number,
    width: number,
    channels: number,
    kernelHeight: number,
    kernelWidth: number,
    strideY: number,
    strideX: number,
    outHeight: number,
    outWidth: number,
    dy: Address,
    indices: Address,
    dx: Address,
  ): void
  /** The sum of each window, line by line, times `factor`. */
  averagePool(
    rows: number,
    height: number,
    width: number,
    channels: number,
    kernelHeight: number,
    kernelWidth: number,
    strideY: number,
    strideX: number,
    outHeight: number,
    outWidth: number,
    x: Address,
    factor: number,
    y: Address,
  ): void
  averagePoolBackward(
    rows: number,
    height: number,
    width: number,
    channels: number,
    kernelHeight: number,
    kernelWidth: number,
    strideY: number,
    strideX: number,
    outHeight: number,
    outWidth: number,
    dy: Address,
    factor: number,
    dx: Address,
  ): void
}

/** Products and sums over matrices. Steps from row to row and column to column are counted in entries. */
export interface MatrixKernels {
  /**
   * c[i, j] = start[i, j] + a[i, 0] b[0, j] + ... + a[i, k - 1] b[k - 1, j], added in this order; start = 0 begins at
   * zero. `start` may be c, or have a row step of 0. scratch: GEMM_SCRATCH bytes.
   */
  gemm(
    m: number,
    n: number,
    k: number,
    a: Address,
    aRow: number,
    aColumn: number,
    b: Address,
    bRow: number,
    bColumn: number,
    c: Address,
    cRow: number,
    start: Address,
    startRow: number,
    scratch: Address,
  ): void
  /**
   * out[i] = (sum over k of a[i, k] x[k]) + start, the one number at `start`, or zero. Four running sums, of every
   * fourth k, are added as (0 + 2) + (1 + 3); the last one to three products follow one by one.
   */
  matrixVector(m: number, k: number, a: Address, aRow: number, x: Address, out: Address, start: Address): void
  /** out[j] = x[0] a[0, j] + x[1] a[1, j] + ..., added in this order from zero. */
  vectorMatrix(m: number, n: number, x: Address, a: Address, aRow: number, out: Address): void
  /** out[j] = a[0, j] + a[1, j] + ..., added in this order from zero. */
  columnSums(m: number, n: number, a: Address, aRow: number, out: Address): void
  /** out[i] = sum over k of a[i, k]^2, in the order of `matrixVector`. */
  rowSquaredNorms(m: number, k: number, a: Address, aRow: number, out: Address): void
  /** a[i, j] = a[i, j] factors[i], in place. */
  scaleRows(m: number, n: number, a: Address, aRow: number, factors: Address): void
  /** Copies the rows that `indices` (32-bit integers) name, one under the other. */
  gatherRows(m: number, n: number, from: Address, indices: Address, to: Address): void
  /**
   * c[i, j] = sum over k of a[i, k] b[k, j]; a and b of 16-bit, c of 32-bit integers. No sum may overflow.
   * scratch: 2 (m + n) (k rounded up to 8) bytes.
   */
  integerGemm(
    m: number,
    n: number,
    k: number,
    a: Address,
    aRow: number,
    aColumn: number,
    b: Address,
    bRow: number,
    bColumn: number,
    c: Address,
    cRow: number,
    scratch: Address,
  ): void
}

/** One number at a time; results may be written over arguments. */
export interface ElementKernels {
  exp(count: number, x: Address, y: Address): void
  log(count: number, x: Address, y: Address): void
  sigmoid(count: number, x: Address, y: Address): void
  /** y = max(x, 0). */
  relu(count: number, x: Address, y: Address): void
  /** dx = dy where y > 0, else 0. */
  reluBackward(count: number, y: Address, dy: Address, dx: Address): void
  /** y = c[0] + x (c[1] + x (c[2] + ...)), up to c[degree]. */
  polynomial(count: number, x: Address, coefficients: Address, degree: number, y: Address): void
  multiply(count: number, x: Address, y: Address, out: Address): void
  add(count: number, x: Address, y: Address, out: Address): void
  /** out = out + (x y + y): squared norms of (a, 1) b^T, from those of a and b. */
  addOuterNorms(count: number, x: Address, y: Address, out: Address): void
  /** out = factor x. */
  scale(count: number, factor: number, x: Address, out: Address): void
  fill(count: number, value: number, out: Address): void
  copy(count: number, x: Address, out: Address): void
  /** The sum in double precision, one by one. */
  sum(count: number, x: Address): number
  /** 1 if no entry is infinite or NaN, else 0. */
  finite(count: number, x: Address): number
  /** factors = bound / max(sqrt(squares), bound). */
  clipFactors(count: number, squares: Address, bound: number, factors: Address): void
}

export interface LossKernels {
  /** losses = weight (max(z, 0) - z y + log(1 + e^-|z|)), deltas = weight (sigmoid(z) - y). */
  sigmoidCrossEntropy(
    count: number,
    z: Address,
    y: Address,
    weight: number,
    deltas: Address,
    losses: Address,
  ): void
  /** losses = weight (z - y)^2, deltas = (weight + weight) (z - y). */
  squaredError(count: number, z: Address, y: Address, weight: number, deltas: Address, losses: Address): void
  /** y = e^(z - top) / (their sum, from left to right), row by row. */
  softmax(rows: number, columns: number, z: Address, y: Address): void
  /** losses = log(sum of e^(z - top)) - (z[class] - top), deltas = softmax(z) - (1 at the class). */
  softmaxCrossEntropy(
    rows: number,
    columns: number,
    z: Address,
    classes: Address,
    deltas: Address,
    losses: Address,
  ): void
}

export interface NormKernels {
  /**
   * y = (x - mean) / deviation * gamma + beta over each group of channels of each row. statistics: 2 channels a row.
   */
  groupNorm(
    rows: number,
    positions: number,
    channels: number,
    groups: number,
    x: Address,
    gamma: Address,
    beta: Address,
    inverseCount: number,
    epsilon: number,
    y: Address,
    statistics: Address,
  ): void
  /** dx, unless its address is 0, and the gradients of gamma and beta of each row. scratch: 2 channels. */
  groupNormBackward(
    rows: number,
    positions: number,
    channels: number,
    groups: number,
    x: Address,
    statistics: Address,
    gamma: Address,
    inverseCount: number,
    dy: Address,
    rowGradients: Address,
    dx: Address,
    scratch: Address,
  ): void
}

export interface OptimiserKernels {
  /** w = w - rate g. */
  sgdStep(count: number, w: Address, g: Address, rate: number): void
  /** v = decay v + g; w = w - rate v. */
  momentumStep(count: number, w: Address, g: Address, v: Address, rate: number, decay: number): void
  /** m = decay1 m + fresh1 g; v = decay2 v + fresh2 g^2; w = (w - shrink w) - size m / (sqrt(v) / root + epsilon). */
  adamStep(
    count: number,
    w: Address,
    g: Address,
    m: Address,
    v: Address,
    size: number,
    root: number,
    epsilon: number,
    decay1: number,
    fresh1: number,
    decay2: number,
    fresh2: number,
    shrink: number,
  ): void
}

export type KernelFunctions = ImageKernels &
  MatrixKernels &
  ElementKernels &
  LossKernels &
  NormKernels &
  OptimiserKernels

/** The memory that kernels work on, as numbers. */
export interface KernelMemory {
  readonly floats: Float32Array
  readonly integers: Int32Array
  readonly shorts: Int16Array
}

/**
 * What the engine computes with. The two implementations, WebAssembly and plain JavaScript, give the same bits: every
 * product, sum, quotient and root is rounded to 32 bits, in the order stated.
 */
export type Kernel = KernelFunctions & KernelMemory

/** Bytes of scratch memory that `gemm` needs: a panel of 256 rows of 8 and a tile of 4. */
export const GEMM_SCRATCH = 8192 + 128

/** The three views of one buffer. */
export const memoryViews = (buffer: ArrayBufferLike): KernelMemory => ({
  floats: new Float32Array(buffer),
  integers: new Int32Array(buffer),
  shorts: new Int16Array(buffer),
})

import { type Encoded, f64, f64Array, list, nullable, record } from "@consilium/base/encoding"
import { batchCursorCodec, startCursor } from "@consilium/learning/batches"

/**
 * What a facility's training carries from one round to the next. It never leaves the facility; it is saved with the
 * integers that the same training gave, so that a crash loses or repeats neither.
 */
export const localStateCodec = record({
  /** Where the pass over the training rows stands. */
  cursor: batchCursorCodec,
  /** L2 norms that gradients are clipped to, where clipping adapts; none before the first round, or where it does not. */
  clipNorms: list(f64, 4096),
  /** This facility's control variate, where the strategy has any; null before the first round. */
  control: nullable(f64Array(1 << 20)),
  /** This facility's own model beside the common one, where the study keeps any; null before the first round. */
  personal: nullable(f64Array(1 << 20)),
})
export type LocalState = Encoded<typeof localStateCodec>

export const startLocalState = (): LocalState => ({
  cursor: startCursor(),
  clipNorms: [],
  control: null,
  personal: null,
})

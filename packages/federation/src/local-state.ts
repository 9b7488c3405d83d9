import { equalBytes } from "@consilium/base/bytes"
import { type Encoded, f64, f64Array, fixedBytes, list, nullable, record } from "@consilium/base/encoding"
import { batchCursorCodec, startCursor } from "@consilium/learning/batches"

const values = f64Array(1 << 20)

/**
 * What a facility's training carries from one round to the next. It never leaves the facility; it is saved with the
 * integers that the same training gave, so that a crash loses or repeats neither.
 */
export const localStateCodec = record({
  /** Where the pass over the training rows stands. */
  cursor: batchCursorCodec,
  /** L2 norms that gradients are clipped to, where clipping adapts; none before the first round, or where it does not. */
  clipNorms: list(f64, 4096),
  /** What the clip norms become once the update of the round from this base is charged: noisy counts moved them. */
  nextClipNorms: nullable(record({ base: fixedBytes(32), norms: list(f64, 4096) })),
  /** This facility's control variate, where the strategy has any; null before a round that its update counted in. */
  control: nullable(values),
  /** What the control variate becomes once the update of the round from this base has counted. */
  nextControl: nullable(record({ base: fixedBytes(32), control: values })),
  /** This facility's own model beside the common one, where the study keeps any; null before the first round. */
  personal: nullable(record({ parameters: values, cursor: batchCursorCodec })),
})
export type LocalState = Encoded<typeof localStateCodec>

export const startLocalState = (): LocalState => ({
  cursor: startCursor(),
  clipNorms: [],
  nextClipNorms: null,
  control: null,
  nextControl: null,
  personal: null,
})

/**
 * What is left here by a round whose update was charged. Norms that a training moved which was never paid for are forgotten:
 * they tell of its patients, and steps that are clipped to them would.
 */
export const afterCharged = (local: LocalState, base: Uint8Array): LocalState => {
  const { nextClipNorms } = local
  if (nextClipNorms === null || !equalBytes(nextClipNorms.base, base)) return local
  return { ...local, clipNorms: nextClipNorms.norms, nextClipNorms: null }
}

/**
 * What is left here by a round that was closed with this facility's update in its sum: only now is the control variate the
 * new one, since the common one has moved by the same update.
 */
export const afterCounted = (local: LocalState, base: Uint8Array): LocalState => {
  const { nextControl } = local
  if (nextControl === null || !equalBytes(nextControl.base, base)) return local
  return { ...local, control: nextControl.control, nextControl: null }
}

/**
 * Where features lie in slots. The slots are a ring of `places` places with `stride` patients side by side in each: place e of patient p
 * is slot e stride + p, so that a rotation by whole places turns every patient's numbers alike, and the ends meet.
 *
 * Column j stands once beside every unit of the first layer, at place j M_1 + r for unit r: one product with all weights, and a sum
 * over j. From then on the numbers of a layer repeat with the period of its padded width.
 */
export interface FeatureLayout {
  /** The widths of hidden layers, padded to powers of two. */
  readonly widths: readonly number[]
  /** Places of the ring, a power of two. */
  readonly places: number
  /** Slots from one place to the next: patients side by side. */
  readonly stride: number
  /** Columns in one ciphertext, padded. */
  readonly columnsEach: number
  readonly ciphertexts: number
}

/** The widest layer. */
export const MOST_WIDTH = 1024

/** The least power of two that is not below a width. */
export const widthAbove = (width: number): number => {
  let power = 1
  while (power < width) power *= 2
  return power
}

/** Shape: widths padded, none above half the degree */
export const featureLayout = (degree: number, columns: number, widths: readonly number[]): FeatureLayout => {
  const slots = degree / 2
  const first = widths[0] as number
  const wanted = Math.max(widthAbove(columns) * first, ...widths)
  const places = Math.min(wanted, slots)
  return {
    widths,
    places,
    stride: slots / places,
    columnsEach: places / first,
    ciphertexts: wanted / places,
  }
}

/** The slot of a place of a patient. */
export const featureSlot = ({ stride }: FeatureLayout, place: number, patient: number): number =>
  place * stride + patient

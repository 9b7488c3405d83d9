import { z } from "zod"
import { cutTo, oneLine } from "../one-line.js"

/** A person's wish for new keys: who, and why, in their own words. */
export const rotationWishSchema = z.strictObject({ by: oneLine(64), reason: oneLine(1024) })
export type RotationWish = z.output<typeof rotationWishSchema>

/** The same as a request: without a name it is that of whoever sent it. */
export const rotationRequestSchema = rotationWishSchema.partial({ by: true })
export type RotationRequest = z.output<typeof rotationRequestSchema>

/** The wish of a request, with what the leader knows its sender by. */
export const wishOf = ({ by, reason }: RotationRequest, via: string): RotationWish => ({
  by: cutTo(64, by === undefined ? via : `${by} (${via})`),
  reason,
})

/** What a wish for new keys comes to. */
export const rotationAnswerSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string(),
  /** The epoch under way; 0 before the first. */
  epoch: z.int().min(0),
  /** The round that waits for the ceremony. */
  beforeRound: z.int().min(1),
  /** Whether this wish called for it; false where a ceremony was due before that round already. */
  asked: z.boolean(),
  /** Why it is held. */
  why: z.string(),
})
export type RotationAnswer = z.output<typeof rotationAnswerSchema>

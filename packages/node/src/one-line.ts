import { z } from "zod"

/** What people write of themselves: one line, as many bytes as the log has room for. */
export const oneLine = (bytes: number): z.ZodString =>
  z
    .string()
    .min(1)
    .regex(/^[^\p{Cc}\p{Cf}]*$/u, "one line of text was expected")
    .refine((text) => Buffer.byteLength(text) <= bytes, `${bytes} bytes at most`)

/** The beginning of a text, in whole characters, that has room in so many bytes. */
export const cutTo = (bytes: number, text: string): string => {
  let out = ""
  for (const character of text) {
    if (Buffer.byteLength(out + character) > bytes) break
    out += character
  }
  return out
}

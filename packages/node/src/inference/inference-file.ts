import { z } from "zod"

/** What addresses have before their path, of letters that mean nothing else in a header. */
const ORIGIN = /^https?:\/\/[a-z0-9.[\]:-]+$/

/** What a browser sends of a page's address. */
export const originSchema = z
  .string()
  .max(256)
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text && ORIGIN.test(text),
    "no origin: scheme, host and port as a browser sends them, such as https://ward.example.org:8443",
  )
/** `inference` in leader.yaml: which models the leader offers to those who ask about encrypted patients. */
export const inferenceFileSchema = z
  .strictObject({
    offer: z.enum(["private", "none"]).default("private"),
    weights: z.enum(["shared", "kept"]).default("shared"),
    largest_epsilon: z.number().positive().default(10),
    stay: z.boolean().default(false),
    answers_per_asker: z.int().min(1).nullable().default(null),
    requests_per_second: z.int().min(1).max(1_000_000).default(100),
    threads: z.int().min(1).max(64).default(1),
    allowed_origins: z.array(originSchema).max(100).default([]),
    page_servers: z.array(originSchema).max(100).default([]),
  })
  .prefault({})
export type InferenceFile = z.output<typeof inferenceFileSchema>

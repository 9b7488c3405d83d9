import { z } from "zod"
import { LOOPBACK } from "../transport/address.js"
import { apiRoles, type TokenRule } from "./access.js"

/** The port of `curl -X POST http://127.0.0.1:8001/api/training/start`. */
export const API_PORT = 8001
export const HEALTH_PORT = 8002

const listenAt = (port: number) =>
  z
    .strictObject({
      hosts: z
        .array(z.string().min(1))
        .min(1)
        .default([...LOOPBACK]),
      /** Tried in this order; 0 takes any that is free. */
      ports: z.array(z.int().min(0).max(65_535)).min(1).default([port, 0]),
    })
    .prefault({})

/** A token by its hash: `printf %s "$TOKEN" | sha256sum`. */
const token = z.strictObject({
  name: z.string().min(1).max(64),
  role: z.enum(apiRoles),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** UTC, such as 2027-01-31T00:00:00Z; null for a token that does not expire. */
  expires: z.iso.datetime().nullable(),
})

/** Who may ask for what, by tokens. */
export const tokensSchema = z
  .array(token)
  .max(1000)
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "two tokens have one name")

/** `api` in leader.yaml: where people and programs reach the leader, and with what. */
export const apiFileSchema = z
  .strictObject({
    listen: listenAt(API_PORT),
    /** Health and metrics, on a port of their own; null for none. */
    health: listenAt(HEALTH_PORT).nullable(),
    /** PEM files of a listener beyond this machine. */
    tls: z
      .strictObject({ key_file: z.string().min(1), certificate_file: z.string().min(1) })
      .nullable()
      .default(null),
    tokens: tokensSchema.default([]),
  })
  .prefault({})
export type ApiFile = z.output<typeof apiFileSchema>

export const tokenRules = (tokens: ApiFile["tokens"]): readonly TokenRule[] =>
  tokens.map(({ name, role, sha256, expires }) => ({
    name,
    role,
    sha256,
    expires: expires === null ? null : Date.parse(expires),
  }))

import type { ConsiliumError } from "@consilium/base/errors"
import type { FastifyReply } from "fastify"

/** What a refusal looks like on the wire: RFC 9457. */
export const sendProblem = (reply: FastifyReply, status: number, error: ConsiliumError): FastifyReply =>
  reply
    .code(status)
    .type("application/problem+json")
    .send(
      JSON.stringify({
        type: error.docs,
        title: error.code,
        status,
        detail: error.message,
        remedy: error.remedy,
      }),
    )

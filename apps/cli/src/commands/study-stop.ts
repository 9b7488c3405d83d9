import { userInfo } from "node:os"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import {
  type Stopped,
  stopDecisionSchema,
  stoppedSchema,
  stopRequestSchema,
} from "@consilium/node/api/stop-schemas"
import { placeOf } from "@consilium/node/doctor/place"
import { askRole } from "@consilium/node/doctor/role-status"
import { type Format, print } from "./printed.js"
import { callLeader, type Leader } from "./study-api.js"
import { studyNamed } from "./study-named.js"

interface Stopping extends Partial<Leader> {
  readonly config?: string
  readonly study?: string
  readonly reason: string
  readonly by?: string
  readonly format: Format
}

/** Ends a study: through the leader's API, or through the admin socket in its data folder. */
export const studyStop = async (options: Stopping): Promise<void> => {
  const { leader, config = "" } = options
  const stopped = await (leader === undefined ? overSocket(config, options) : overApi({ ...options, leader }))
  print(options.format, stopped, [
    `The study ${stopped.name} (${stopped.id}) is stopped, by ${stopped.by}: ${stopped.reason}`,
    `  rounds closed  ${stopped.closedRounds}`,
    `  model          ${stopped.modelHash}${stopped.closedRounds === 0 ? ", the one it began with" : ""}`,
    "Participants are told as soon as they can be reached.",
  ])
}

const checked = <T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false; error: unknown } },
  decision: object,
): T => {
  const parsed = schema.safeParse(decision)
  if (parsed.success) return parsed.data
  throw new ConsiliumError("cli/usage", "A study is stopped with one line for --reason and one for --by.", {
    remedy: "Write at most 768 bytes for the reason and 64 for the name, without line breaks.",
  })
}

const overApi = async (options: Stopping & Leader): Promise<Stopped> => {
  const { study, reason, by } = options
  const body = checked(stopRequestSchema, { reason, ...(by === undefined ? {} : { by }) })
  const { id } = await studyNamed(options, study)
  return callLeader(
    options,
    {
      method: "POST",
      path: `/v1/studies/${id}/stop`,
      body: { type: "application/json", bytes: utf8(JSON.stringify(body)) },
    },
    stoppedSchema,
  )
}

const overSocket = async (config: string, { study, reason, by }: Stopping): Promise<Stopped> => {
  const decision = checked(stopDecisionSchema, { reason, by: by ?? userInfo().username })
  const place = await placeOf(config)
  if (place.role !== "leader")
    throw new ConsiliumError("config/invalid", `${config} is of the ${place.role} ${place.name}.`, {
      remedy: "Give the leader's own leader.yaml: a study is stopped where it is led.",
    })
  return askRole(
    place,
    "stop-study",
    { ...decision, ...(study === undefined ? {} : { study }) },
    stoppedSchema,
  )
}

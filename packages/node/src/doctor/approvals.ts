import { ConsiliumError } from "@consilium/base/errors"
import { z } from "zod"
import { placeOf } from "./place.js"
import { askRole, type FacilityStatus, statusOf } from "./role-status.js"

const decided = z.object({ study: z.string(), approved: z.boolean() })
export type Decided = z.output<typeof decided>

/** The studies of a running facility, with what its people have decided about them. */
export const approvalsOf = async (configPath: string): Promise<FacilityStatus> => {
  const status = await statusOf(configPath)
  if (status.role !== "facility")
    throw new ConsiliumError("config/invalid", `${configPath} is of the ${status.role} ${status.name}.`, {
      remedy: "Give a facility's own facility.yaml: approvals are a facility's.",
    })
  return status
}

/**
 * Allows a study to train on this facility's records, or forbids it. Without a study, the one that waits for it is meant.
 * @throws {ConsiliumError} "admin/no-such-study" if none or several wait; "admin/not-running"
 */
export const decideApproval = async (
  configPath: string,
  decision: { readonly study?: string | undefined; readonly approved: boolean; readonly by: string },
): Promise<Decided> => {
  const { name, studies } = await approvalsOf(configPath)
  const waiting = studies.filter(({ waitsForApproval }) => waitsForApproval)
  const study = decision.study ?? (waiting.length === 1 ? waiting[0]?.id : undefined)
  if (study === undefined)
    throw new ConsiliumError(
      "admin/no-such-study",
      `${waiting.length === 0 ? "No study" : `${waiting.length} studies`} of ${name} ${waiting.length === 0 ? "waits" : "wait"} for approval${waiting.length === 0 ? "" : `: ${waiting.map((one) => `${one.name} (${one.id.slice(0, 16)})`).join(", ")}`}.`,
      { remedy: "Name the study with --study; `consilium approvals list` shows all." },
    )
  const args = { study: study.slice(0, 64), by: decision.by }
  return askRole(await placeOf(configPath), decision.approved ? "approve" : "deny", args, decided)
}

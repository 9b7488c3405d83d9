import { approvalsOf, decideApproval } from "@consilium/node/doctor/approvals"
import { columns, type Format, print } from "./printed.js"

export const list = async (options: { readonly config: string; readonly format: Format }): Promise<void> => {
  const { name, studies } = await approvalsOf(options.config)
  const shown = studies.map(({ id, name: study, approval, waitsForApproval, round }) => ({
    id,
    name: study,
    approval,
    waitsForApproval,
    round,
  }))
  print(options.format, { facility: name, studies: shown }, [
    ...columns(
      ["study", "id", "round", "approval"],
      shown.map(({ id, name: study, round, approval, waitsForApproval }) => [
        study,
        id.slice(0, 16),
        String(round),
        waitsForApproval ? "WAITS FOR A PERSON" : wordsOf(approval),
      ]),
    ),
  ])
}

type Approval = Awaited<ReturnType<typeof approvalsOf>>["studies"][number]["approval"]

/** What a person at the facility decided about a study. */
export const wordsOf = (approval: Approval): string =>
  ({ "not-needed": "not needed", none: "not asked for yet", approved: "approved", denied: "denied" })[
    approval
  ]

export const decide = async (
  approved: boolean,
  options: {
    readonly config: string
    readonly study?: string
    readonly by: string
    readonly format: Format
  },
): Promise<void> => {
  const { study, by } = options
  const decided = await decideApproval(options.config, { study, approved, by })
  print(options.format, decided, [
    decided.approved
      ? `The study ${decided.study.slice(0, 16)} may train on this facility's records.`
      : `The study ${decided.study.slice(0, 16)} may not train on this facility's records; the facility refuses its rounds.`,
  ])
}

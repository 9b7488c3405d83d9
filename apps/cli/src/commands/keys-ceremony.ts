import { ConsiliumError } from "@consilium/base/errors"
import type { CeremonyView } from "@consilium/node/api/study-view"
import { type KeysPlace, studyKeysAt } from "./keys-source.js"
import { columns, print } from "./printed.js"

/** The steps of a facility in a ceremony, in their order, and what stands above each. */
const STEPS = [
  ["dealt", "dealt a key"],
  ["answered-challenge", "answered"],
  ["checked-shares", "checked shares"],
  ["tested-keys", "tested keys"],
  ["signed", "signed"],
] as const
const KNOWN: ReadonlySet<string> = new Set(STEPS.map(([step]) => step))

const after = (at: string, { startedAt }: CeremonyView): string =>
  `${((Date.parse(at) - Date.parse(startedAt)) / 1000).toFixed(1)} s`

const ENDS: Readonly<Partial<Record<CeremonyView["phase"], string>>> = { held: "held", void: "given up" }

const stepTable = (ceremony: CeremonyView): readonly string[] =>
  columns(
    ["  facility", ...STEPS.map(([, head]) => head)],
    [...ceremony.lanes]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, steps }) => [
        `  ${name}`,
        ...STEPS.map(([wanted]) => {
          const taken = steps.find(({ step }) => step === wanted)
          return taken === undefined ? "-" : after(taken.at, ceremony)
        }),
      ]),
  )

/** What was said beside the steps: disputes, refusals, who was left out. */
const remarks = (ceremony: CeremonyView): readonly string[] =>
  ceremony.lanes
    .flatMap(({ name, steps }) => steps.map((step) => ({ name, ...step })))
    .filter(({ step, detail }) => (step === "checked-shares" && detail !== null) || !KNOWN.has(step))
    .sort((a, b) => (a.at < b.at ? -1 : 1))
    .map(({ name, step, at, detail }) =>
      `  ${after(at, ceremony)}  ${name} ${step === "checked-shares" ? "complained" : step === "excluded" ? "was left out" : step}: ${detail ?? ""}`.trimEnd(),
    )

const names = (list: readonly string[]): string => [...list].sort().join(", ")

const ceremonyLines = (ceremony: CeremonyView): readonly string[] => {
  const {
    epoch,
    attempt,
    round,
    phase,
    cause,
    reason,
    startedAt,
    endedAt,
    tested,
    openers,
    dealers,
    signers,
  } = ceremony
  const how =
    endedAt === null ? `under way, ${phase}` : `${ENDS[phase] ?? phase} after ${after(endedAt, ceremony)}`
  return [
    `Epoch ${epoch}, before round ${round}${attempt > 1 ? `, attempt ${attempt}` : ""}: ${how}`,
    `  began        ${startedAt}, because ${cause}`,
    ...stepTable(ceremony),
    ...remarks(ceremony),
    ...(tested.length === 0
      ? []
      : [`  tested       the keys of ${names(tested)}; opened by ${names(openers)}`]),
    ...(signers.length === 0 ? [] : [`  certificate  ${signers.length} signed: ${names(signers)}`]),
    ...(dealers.length === 0 ? [] : [`  keys of      ${names(dealers)}`]),
    ...(reason === null ? [] : [`  given up     ${reason}`]),
  ]
}

/** Shows the ceremonies of a study, step by step. */
export const keysCeremony = async (options: KeysPlace & { readonly epoch?: number }): Promise<void> => {
  const { study, protection, keys } = await studyKeysAt(options)
  if (keys === null)
    throw new ConsiliumError(
      "keys/none",
      `The study ${study.name} is protected by ${protection}, which has no key ceremonies.`,
    )
  const { epoch } = options
  const ceremonies = keys.ceremonies.filter((one) => epoch === undefined || one.epoch === epoch)
  if (epoch !== undefined && ceremonies.length === 0)
    throw new ConsiliumError(
      "cli/usage",
      `The study ${study.name} has had no ceremony for epoch ${epoch}; the last was for epoch ${keys.ceremonies.at(-1)?.epoch ?? 0}.`,
      { remedy: "Leave --epoch out to see all." },
    )
  print(options.format, { study, ceremonies }, [
    `Key ceremonies of the study ${study.name} (${study.id.slice(0, 16)}, ${study.state})`,
    ...(ceremonies.length === 0 ? ["None yet: the first comes before round 1."] : []),
    ...ceremonies.flatMap(ceremonyLines),
  ])
}

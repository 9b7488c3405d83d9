import { SMALL_CELL } from "@consilium/learning/small-cells"
import type { ModelCard } from "./model-schemas.js"

const figure = (value: number | null): string => (value === null ? "-" : value.toFixed(3))

/** What people wrote, inside a table or a list: nothing of it is markup. */
const plain = (text: string): string => text.replace(/[\\`*_{}[\]<>|#]/g, (sign) => `\\${sign}`)

const table = (heads: readonly string[], rows: readonly (readonly string[])[]): readonly string[] => [
  `| ${heads.join(" | ")} |`,
  `|${heads.map(() => "---").join("|")}|`,
  ...rows.map((row) => `| ${row.join(" | ")} |`),
]

type GroupFigures = ModelCard["subgroups"][number]["groups"][number]["all"]
const groupCells = (figures: GroupFigures): readonly string[] =>
  figures === null
    ? ["hidden", "", "", "", "", ""]
    : [
        String(figures.rows),
        String(figures.positives),
        ...[figures.accuracy, figures.balancedAccuracy, figures.auc, figures.logLoss].map(figure),
      ]

/** The figures by groups of patients: each facility's, and all of them as one where none hides the group. */
const subgroupLines = ({ subgroups }: ModelCard): readonly string[] =>
  subgroups.length === 0
    ? []
    : [
        "## Figures for groups of patients",
        "",
        `Counts of all facilities are added, other figures of all are means weighted by rows. A group of fewer than ${SMALL_CELL} patients of either answer is hidden, and so is every group that would give it away.`,
        "",
        ...table(
          ["group", "facility", "rows", "answer 1", "accuracy", "balanced accuracy", "AUC", "log loss"],
          subgroups.flatMap(({ feature, groups }) =>
            groups.flatMap(({ group, facilities, all }) =>
              [
                ...facilities.map(({ facility, figures }) => [plain(facility), figures] as const),
                ["all facilities", all] as const,
              ].map(([who, figures]) => [plain(`${feature}: ${group}`), who, ...groupCells(figures)]),
            ),
          ),
        ),
        "",
      ]

/** The model on all held-out patients together. */
const evaluationLines = ({ evaluation }: ModelCard): readonly string[] => {
  if (evaluation === null) return []
  const { facilities, rows, positives, noise, calibration } = evaluation
  return [
    "## All held-out patients together",
    "",
    `From the sum of the histograms of scores of ${facilities.length} facilities, of which nobody saw a single one: ${rows} rows, ${positives} of answer 1. Grouping scores into bins may move the AUC by ${figure(evaluation.aucError)}${noise === 0 ? "" : `; each bin's count carries noise of ${noise.toFixed(1)} rows, for privacy`}.`,
    "",
    ...table(
      ["accuracy", "balanced accuracy", "AUC", "log loss", "Brier"],
      [
        [
          figure(evaluation.accuracy),
          figure(evaluation.balancedAccuracy),
          figure(evaluation.auc),
          figure(evaluation.logLoss),
          figure(evaluation.brier),
        ],
      ],
    ),
    "",
    ...table(
      ["the model says", "it was so for", "rows"],
      calibration.map((bin) => [figure(bin.predicted), figure(bin.observed), bin.rows.toFixed(0)]),
    ),
    "",
  ]
}

/** A model's card as a page of Markdown. */
export const modelCardText = (card: ModelCard): string => {
  const { study, model, data, training, protection, privacy, metrics, log, verify } = card
  const lines = [
    `# Model card: ${plain(study.name)}, round ${model.round}`,
    "",
    card.purpose,
    "",
    ...table(
      ["", ""],
      [
        ["hash", `\`${model.hash}\``],
        ["in use", model.released ? "yes" : "no"],
        ["closed at", model.closedAt],
        ["kind", `${model.kind}, ${model.parameters} parameters`],
        ["features", model.features.length === 0 ? "pixels" : model.features.map(plain).join(", ")],
        ["marks", card.marks.length === 0 ? "none" : card.marks.join(", ")],
        ...(model.file === null
          ? []
          : [["file", `${model.file.bytes} bytes, SHA-256 \`${model.file.sha256}\``]]),
      ],
    ),
    "",
    "## Data",
    "",
    data.says,
    ...(data.trainingRows === null
      ? []
      : ["", `Rows that the facilities of this round trained on, in all: ${data.trainingRows}.`]),
    "",
    ...table(
      ["facility", "took part from round", "to round", "in this round's sum", "rows tested on"],
      data.facilities.map(({ name, joined, left, inRound, testedRows }) => [
        plain(name),
        String(joined),
        left === null ? "" : String(left),
        inRound ? "yes" : "no",
        testedRows === null ? "not reported" : String(testedRows),
      ]),
    ),
    "",
    "## Training",
    "",
    `${training.closedRounds} of ${training.plannedRounds} rounds are closed; this is the model of round ${model.round}. Each facility took ${training.localSteps} steps on ${training.batchSize} rows with the learning rate ${training.learningRate}; updates were clipped to the L2 norm ${training.clipNorm} and joined by ${training.strategy} with the rate ${training.serverLearningRate}${training.serverMomentum === null ? "" : ` and the momentum ${training.serverMomentum}`}.${training.proximalMu === 0 ? "" : ` A proximal term of weight ${training.proximalMu} held the steps near the round's model.`}${training.correction === "none" ? "" : " Control variates (SCAFFOLD) corrected the drift of the steps; each facility's own one stayed there, and the common one follows from the opened sums."}${training.ditto === null ? "" : ` Beside it each facility trained a model of its own in ${training.ditto.steps} steps a round at the rate ${training.ditto.learningRate}, drawn towards the round's model with the weight ${training.ditto.lambda} (Ditto); those never left.`}`,
    "",
    "## Protection and privacy",
    "",
    `Protection \`${protection.name}\`: ${protection.says} A sum is over ${protection.smallest} facilities at least, and takes ${protection.threshold} to open.`,
    "",
    privacy.says,
    ...(privacy.facilities.some(({ epsilon }) => epsilon !== null)
      ? [
          "",
          ...table(
            ["facility", "epsilon", "delta"],
            privacy.facilities.map(({ facility, epsilon, delta }) => [
              plain(facility),
              figure(epsilon),
              delta === null ? "-" : String(delta),
            ]),
          ),
        ]
      : []),
    "",
    "## Figures on held-out rows",
    "",
    ...(metrics.facilities.length === 0
      ? ["No facility reports any."]
      : table(
          ["facility", "rows", "accuracy", "balanced accuracy", "AUC", "log loss"],
          [
            ...metrics.facilities.map(({ facility, rows, accuracy, balancedAccuracy, auc, logLoss }) => [
              plain(facility),
              String(rows),
              ...[accuracy, balancedAccuracy, auc, logLoss].map(figure),
            ]),
            [
              "mean",
              "",
              ...[metrics.mean.accuracy, metrics.mean.balancedAccuracy, metrics.mean.auc].map(figure),
              "",
            ],
          ],
        )),
    "",
    ...evaluationLines(card),
    ...subgroupLines(card),
    "## Limits",
    "",
    ...card.limits.map((limit) => `- ${plain(limit)}`),
    "",
    "## Decisions about the model in use",
    "",
    ...(card.releases.length === 0
      ? ["None: the model of the last closed round is in use."]
      : card.releases.map(
          ({ at, round, by, reason }) => `- ${at}: round ${round}, by ${plain(by)}: ${plain(reason)}`,
        )),
    "",
    "## How to verify",
    "",
    `The log had ${log.events} events when this card was made; its head is \`${log.head}\`. Whoever has the log recomputes every model from the opened sums, this one too; the exported file is checked against the hash above:`,
    "",
    ...verify.commands.map((command) => `    ${command}`),
    "",
  ]
  return lines.join("\n")
}

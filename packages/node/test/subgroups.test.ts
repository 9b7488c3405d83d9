import { describe, expect, it } from "vitest"
import { type Outcome, runStudy } from "../../federation/test/harness.js"
import { authorityKey, type StudyChanges, toyRecords } from "../../federation/test/members.js"
import { studyViewSchema } from "../src/api/schemas.js"
import { applyEntry, startView } from "../src/api/view-fold.js"
import { studyFileSchema, studyOf } from "../src/config/study-file.js"
import { modelCardOf } from "../src/models/model-card.js"
import { modelCardText } from "../src/models/model-card-text.js"
import { readHistory } from "../src/models/model-log.js"
import { modelCardSchema } from "../src/models/model-schemas.js"
import { outcomeOf } from "../src/roles/outcome.js"

const SUBGROUPS = [
  { feature: "a", cuts: [], names: ["female", "male"] },
  { feature: "b", cuts: [0], names: [] },
]
const run = (changes: StudyChanges, hiding = true): Outcome =>
  runStudy({
    study: { reporting: { subgroups: SUBGROUPS }, ...changes },
    policies: { "clinic-4": { metrics: "none" } },
    records: (facility) => {
      const yes = (row: number): number => Number(hiding && facility === "clinic-3" ? row > 3 : row % 2 === 0)
      const rows = toyRecords(`${facility}/hold-out`, 3, 100)
      const features = rows.features.map((value, at) => (at % 3 === 0 ? yes(at / 3) : value))
      return { train: toyRecords(facility, 3, 20), holdOut: { ...rows, features } }
    },
  })
const outcome = run({})
const told = outcomeOf(
  outcome.study,
  [{ from: 1, directory: outcome.directory }],
  outcome.leader,
  [],
).subgroups
const cardOf = async ({ study, directory, log }: Outcome, round: number) => {
  const history = await readHistory({
    study,
    first: directory,
    authorityKey,
    async *entries() {
      yield* log
    },
  })
  return modelCardOf(history, { study, authorityKey }, { round })
}

describe("figures by groups of patients at the leader", () => {
  it("are in the outcome: those of each facility that sends any, and of all where nobody hides the group", () => {
    expect(told.map(({ feature, groups }) => [feature, groups.map(({ group }) => group)])).toEqual([
      ["a", ["female", "male"]],
      ["b", ["under 0", "0 and over"]],
    ])
    const [sex, b] = told
    for (const { facilities, all } of sex?.groups ?? []) {
      expect(facilities.map(({ facility, figures }) => [facility, figures?.rows ?? null])).toEqual([
        ["clinic-1", 50],
        ["clinic-2", 50],
        ["clinic-3", null],
      ])
      expect(all).toBeNull()
    }
    expect(b?.groups.reduce((rows, { all }) => rows + (all?.rows ?? 0), 0)).toBe(300)
  })

  it("are in the view that is read from the log, also while reports come in", () => {
    let fold = startView({ study: outcome.study, rosters: () => [outcome.directory] })
    expect(
      fold.view.subgroups.flatMap(({ groups }) => groups.flatMap(({ facilities }) => facilities)),
    ).toEqual([])
    for (const entry of outcome.log) {
      fold = applyEntry(fold, entry)
      expect(studyViewSchema.parse(fold.view)).toEqual(fold.view)
    }
    expect(fold.view.subgroups).toEqual(told)
  })

  it("are on the card of the last model, in words too, and on no other card", async () => {
    const card = await cardOf(outcome, 2)
    expect(modelCardSchema.parse(card)).toEqual(card)
    expect(card.subgroups).toEqual(told)
    const text = modelCardText(card)
    expect(text).toContain("## Figures for groups of patients")
    expect(text).toMatch(/\| a: female \| clinic-1 \| 50 \| \d+ \| 0\.\d{3} \|/)
    expect(text).toContain("| a: female | clinic-3 | hidden |  |  |  |  |  |")
    expect(text).toContain("| a: female | all facilities | hidden |  |  |  |  |  |")
    expect(text).toMatch(/\| b: 0 and over \| all facilities \| \d+ \|/)
    const before = await cardOf(outcome, 1)
    expect(before.subgroups).toEqual([])
    expect(modelCardText(before)).not.toContain("groups of patients")
  })

  it("are not spoken of in a study that declares none", async () => {
    const plain = run({ reporting: { subgroups: [] } })
    expect((await cardOf(plain, 2)).subgroups).toEqual([])
  })
})

describe("what a card says of the strategy", () => {
  it.each([
    [
      { training: { proximalMu: 0.01 } },
      "fedprox",
      /joined by fedprox .* A proximal term of weight 0\.01 held/,
    ],
    [
      { server: { strategy: "fedavgm" } },
      "fedavgm",
      /joined by fedavgm with the rate 1 and the momentum 0\.9\.$/m,
    ],
    [
      { training: { correction: "scaffold" } },
      "scaffold",
      /joined by scaffold .* Control variates \(SCAFFOLD\) corrected the drift/,
    ],
    [
      { training: { ditto: { lambda: 0.5, steps: 7, learningRate: 0.02 } } },
      "ditto",
      /joined by ditto .* a model of its own in 7 steps a round at the rate 0\.02, .* weight 0\.5 \(Ditto\); those never left\.$/m,
    ],
    [{}, "fedavg", /joined by fedavg with the rate 1\.$/m],
  ] as const)("%j", async (changes, strategy, sentence) => {
    const card = await cardOf(run(changes), 2)
    expect(card.training.strategy).toBe(strategy)
    expect(modelCardText(card)).toMatch(sentence)
  })
})

describe("study.yaml", () => {
  const file = (changes: object) => ({
    name: "s",
    nonce: "00".repeat(32),
    model: { kind: "logistic-regression", features: ["age", "sex"] },
    training: {},
    server: {},
    rounds: 3,
    participants: [
      { name: "leader", role: "leader" },
      { name: "fog", role: "fog", parent: "leader" },
      ...["a", "b", "c", "d"].map((name) => ({ name, role: "facility", parent: "fog" })),
    ],
    ...changes,
  })
  const study = (changes: object) => studyOf(studyFileSchema.parse(file(changes)))

  it("names strategies and groups; without them there are none", () => {
    const { training, server, reporting } = study({
      training: { proximal_mu: 0.01 },
      server: { strategy: "fedavgm", beta1: 0.5 },
      reporting: {
        subgroups: [
          { feature: "sex", names: ["female", "male"] },
          { feature: "age", cuts: [50, 65] },
        ],
      },
    })
    expect([training.proximalMu, server.strategy, server.beta1]).toEqual([0.01, "fedavgm", 0.5])
    expect(reporting.subgroups).toEqual([
      { feature: "sex", cuts: [], names: ["female", "male"] },
      { feature: "age", cuts: [50, 65], names: [] },
    ])
    expect(study({})).toMatchObject({
      training: { proximalMu: 0, correction: "none", ditto: null },
      reporting: { subgroups: [] },
    })
    expect(study({ training: { correction: "scaffold", ditto: { lambda: 0.2 } } }).training).toMatchObject({
      correction: "scaffold",
      ditto: { lambda: 0.2, steps: 100, learningRate: 0.01 },
    })
  })

  it.each([
    { training: { proximal_mu: -1 } },
    { training: { correction: "drift" } },
    { training: { ditto: { lambda: -1 } } },
    { training: { ditto: { steps: 0 } } },
    { server: { strategy: "fedprox" } },
    { reporting: { subgroups: [{ feature: "age", cuts: [1, 2, 3, 4, 5, 6, 7, 8] }] } },
    { reporting: { groups: [] } },
  ])("refuses %j", (changes) => {
    expect(studyFileSchema.safeParse(file(changes)).success).toBe(false)
  })
})

import type { CeremonyView, EdgeView, ParticipantView, RoundView } from "@consilium/node/api/study-view"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { axisOf, pathOf, roundTicks } from "../src/chart.js"
import { latestMetrics, meanOf, seriesOf } from "../src/metrics.js"
import { attemptEnd, bandsOf, isOver, lanesOf, markSign, marksOf, spread } from "../src/timeline.js"
import { inTreeOrder, nodeHeight, totalBytes, treeOf, withAuthority } from "../src/tree.js"
import { CEREMONY_STEPS } from "../src/words.js"

const at = (milliseconds: number): string => new Date(1_700_000_000_000 + milliseconds).toISOString()

const one = (name: string, role: ParticipantView["role"], parent: string | null): ParticipantView => ({
  id: name,
  name,
  role,
  parent,
  joinedAtRound: 1,
  leftAfterRound: null,
  lastHeardAt: null,
})
const PEOPLE = [
  one("clinic-10", "facility", "fog-1"),
  one("clinic-2", "facility", "fog-1"),
  one("clinic-3", "facility", "fog-2"),
  one("fog-2", "fog", "leader"),
  one("fog-1", "fog", "leader"),
  one("leader", "leader", null),
]
const EDGES: readonly EdgeView[] = [
  {
    from: "fog-1",
    to: "leader",
    carries: ["x"],
    bytes: { update: 1, relayed: 20, opening: 300, metadata: 4000 },
  },
]

describe("the tree of participants", () => {
  it("is read from the top, children after their parent and in the order of their names", () => {
    expect(
      inTreeOrder(withAuthority(PEOPLE)).map(({ participant, depth }) => [participant.name, depth]),
    ).toEqual([
      ["authority", 0],
      ["leader", 0],
      ["fog-1", 1],
      ["clinic-2", 2],
      ["clinic-10", 2],
      ["fog-2", 1],
      ["clinic-3", 2],
    ])
    const known = [...PEOPLE, one("ca", "authority", null)]
    expect(withAuthority(known)).toBe(known)
    expect(withAuthority([])).toEqual([])
  })

  it("lists everybody once, also those without a known parent or in a circle's reach", () => {
    const odd = [one("a", "facility", "gone"), one("b", "fog", null), one("c", "facility", "b")]
    expect(inTreeOrder(odd).map(({ participant }) => participant.name)).toEqual(["b", "c", "a"])
    expect(treeOf([], [], 1200)).toMatchObject({ places: [], height: 0 })
    expect(treeOf([], [], 390)).toMatchObject({ places: [], height: 0 })
  })

  it("counts every kind of bytes", () => {
    expect(totalBytes(EDGES[0] as EdgeView)).toBe(4321)
    const fog = treeOf(PEOPLE, EDGES, 1200).places.find(({ participant }) => participant.name === "fog-1")
    expect(fog?.edge).toBe(EDGES[0])
  })

  it("never draws two on one place or beyond the width, whatever the tree and the width", () => {
    const tree = fc.record({
      fogs: fc.integer({ min: 0, max: 5 }),
      parents: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 12 }),
      width: fc.integer({ min: 320, max: 2000 }),
      authority: fc.boolean(),
    })
    fc.assert(
      fc.property(tree, ({ fogs, parents, width, authority }) => {
        const people = [
          one("leader", "leader", null),
          ...Array.from({ length: fogs }, (_, i) => one(`fog-${i}`, "fog", "leader")),
          ...parents.map((fog, i) => one(`clinic-${i}`, "facility", `fog-${fog}`)),
        ]
        const { places, height, shape } = treeOf(authority ? withAuthority(people) : people, [], width)
        const tall = nodeHeight(shape)
        expect(places).toHaveLength(people.length + (authority ? 1 : 0))
        for (const [i, place] of places.entries()) {
          expect(place.x).toBeGreaterThanOrEqual(0)
          expect(place.x + place.width).toBeLessThanOrEqual(width)
          expect(place.y).toBeGreaterThanOrEqual(0)
          expect(place.y + tall).toBeLessThanOrEqual(height)
          for (const other of places.slice(i + 1)) {
            const beside = place.x + place.width <= other.x || other.x + other.width <= place.x
            const apart = Math.abs(place.y - other.y) >= tall
            expect(beside || apart).toBe(true)
          }
        }
      }),
    )
  })
})

const round = (changes: Partial<RoundView> = {}): RoundView => ({
  round: 1,
  attempt: 1,
  phase: "closed",
  reason: null,
  startedAt: at(0),
  endedAt: at(1000),
  phases: [
    { phase: "collecting", at: at(0) },
    { phase: "locked", at: at(600) },
    { phase: "challenged", at: at(600) },
    { phase: "certifying", at: at(900) },
    { phase: "closed", at: at(1000) },
  ],
  lanes: [
    {
      name: "clinic-2",
      steps: [
        { step: "signed", at: at(950), detail: null },
        { step: "submitted", at: at(500), detail: null },
        { step: "refused", at: at(960), detail: "why" },
      ],
    },
    { name: "fog-1", steps: [] },
  ],
  cohort: [],
  openers: [],
  modelHash: null,
  metrics: [],
  ...changes,
})

describe("the timeline of a round", () => {
  it("moves marks apart, in order and inside, whatever their times", () => {
    const positions = fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { maxLength: 30 })
    fc.assert(
      fc.property(positions, (unsorted) => {
        const wanted = [...unsorted].sort((a, b) => a - b)
        const placed = spread(wanted, 21, 10, 490)
        expect(placed).toHaveLength(wanted.length)
        const room = (wanted.length - 1) * 21 <= 480
        for (const [i, x] of placed.entries()) {
          expect(x).toBeGreaterThanOrEqual(10 - 1e-9)
          expect(x).toBeLessThanOrEqual(490 + 1e-9)
          if (i > 0 && room) expect(x - (placed[i - 1] as number)).toBeGreaterThanOrEqual(21 - 1e-9)
        }
      }),
    )
    // where there is room, nothing moves
    expect(spread([10, 100, 400], 21, 10, 490)).toEqual([10, 100, 400])
  })

  it("puts the steps where their times are", () => {
    const [lane] = round().lanes
    const marks = marksOf(round(), lane as RoundView["lanes"][number], 1000)
    expect(marks.map(({ step, after, x }) => [step, after, x])).toEqual([
      ["submitted", 500, 500],
      ["signed", 950, 950],
      ["refused", 960, 971],
    ])
    expect(
      ["submitted", "reported", "summed", "refused", "constructor"].map((step) => markSign(step)),
    ).toEqual(["1", "6", "+", "✕", "•"])
  })

  it("shows the phases that took time", () => {
    expect(bandsOf(round(), 100)).toEqual([
      { phase: "collecting", x: 0, width: 60, milliseconds: 600 },
      { phase: "challenged", x: 60, width: 30, milliseconds: 300 },
      { phase: "certifying", x: 90, width: 10, milliseconds: 100 },
    ])
    const open = round({ phase: "challenged", endedAt: null, phases: round().phases.slice(0, 3) })
    expect(attemptEnd(open) - Date.parse(at(0))).toBe(960)
    expect(bandsOf(open, 96).at(-1)).toEqual({ phase: "challenged", x: 60, width: 36, milliseconds: 360 })
    expect(bandsOf(round({ endedAt: null, phases: [], lanes: [] }), 100)).toEqual([])
  })

  it("is drawn for key ceremonies as well, with the order of their own steps", () => {
    const ceremony: CeremonyView = {
      epoch: 1,
      round: 1,
      attempt: 1,
      phase: "held",
      cause: "the study had no keys yet",
      reason: null,
      startedAt: at(0),
      endedAt: at(1000),
      phases: [
        { phase: "collecting", at: at(0) },
        { phase: "testing", at: at(700) },
        { phase: "held", at: at(1000) },
      ],
      lanes: [],
      tested: [],
      openers: [],
      dealers: [],
      signers: [],
    }
    expect(bandsOf(ceremony, 100).map(({ phase, width }) => [phase, width])).toEqual([
      ["collecting", 70],
      ["testing", 30],
    ])
    expect([isOver(ceremony), isOver({ phase: "testing" }), isOver(round())]).toEqual([true, false, true])
    expect(["dealt", "signed", "submitted"].map((step) => markSign(step, CEREMONY_STEPS))).toEqual([
      "1",
      "5",
      "•",
    ])
  })

  it("has a lane for everybody", () => {
    const names = lanesOf(round(), ["clinic-10", "clinic-2"]).map(({ name, steps }) => [name, steps.length])
    expect(names).toEqual([
      ["clinic-2", 3],
      ["clinic-10", 0],
      ["fog-1", 0],
    ])
  })
})

describe("the figures over the rounds", () => {
  const row = (facility: string, accuracy: number | null) => ({
    facility,
    rows: 12,
    accuracy,
    balancedAccuracy: null,
    auc: null,
    logLoss: null,
  })
  const rounds = [
    round({ metrics: [row("b", 0.5), row("a", 0.7)] }),
    round({ round: 2, phase: "void", metrics: [row("a", 0.1)] }),
    round({ round: 2, attempt: 2, metrics: [row("a", 0.9), row("b", null), row("c", 0.3)] }),
    round({ round: 3, phase: "validating", metrics: [row("a", 0.2)] }),
  ]

  it("come from rounds that count, and leave out what was not measured", () => {
    expect(seriesOf(rounds, "accuracy")).toEqual([
      {
        facility: "a",
        points: [
          { round: 1, value: 0.7 },
          { round: 2, value: 0.9 },
        ],
      },
      { facility: "b", points: [{ round: 1, value: 0.5 }] },
      { facility: "c", points: [{ round: 2, value: 0.3 }] },
    ])
    expect(latestMetrics(rounds)).toBe(rounds[2])
    expect(latestMetrics([])).toBeUndefined()
  })

  it("have a mean in which every facility counts once", () => {
    const mean = meanOf(seriesOf(rounds, "accuracy"))
    expect(mean.map(({ round: number }) => number)).toEqual([1, 2])
    expect(mean[0]?.value).toBeCloseTo(0.6, 12)
    expect(mean[1]?.value).toBeCloseTo(0.6, 12)
    expect(meanOf([])).toEqual([])
  })

  it("stand on an axis that people can count on", () => {
    expect(axisOf([0.52, 0.81], 0.1, [0, 1])).toEqual({
      low: 0.5,
      high: 0.9,
      ticks: [0.5, 0.6, 0.7, 0.8, 0.9],
    })
    expect(axisOf([0.98, 1], 0.1, [0, 1])).toMatchObject({ high: 1 })
    expect(axisOf([], 0.1, [0, 1]).ticks.length).toBeGreaterThan(1)
    const values = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(values, (some) => {
        const { low, high, ticks } = axisOf(some, 0.1, [0, 1])
        expect(low).toBeLessThanOrEqual(Math.min(...some) + 1e-9)
        expect(high).toBeGreaterThanOrEqual(Math.max(...some) - 1e-9)
        expect([low >= 0, high <= 1, ticks.length >= 2, ticks.length <= 12]).toEqual([true, true, true, true])
      }),
    )
  })

  it("name as many rounds as there is room for, always the first and the last", () => {
    expect(roundTicks(4, 10)).toEqual([1, 2, 3, 4])
    expect(roundTicks(10, 7)).toEqual([1, 2, 4, 6, 8, 10])
    expect(roundTicks(1, 2)).toEqual([1])
    for (const last of [11, 50, 99, 200, 1000]) {
      const ticks = roundTicks(last, 9)
      expect([ticks[0], ticks.at(-1)]).toEqual([1, last])
      expect(ticks.length).toBeLessThanOrEqual(11)
      expect([...ticks].sort((a, b) => a - b)).toEqual(ticks)
    }
  })

  it("are joined by a line", () => {
    const points = [
      { round: 1, value: 0.5 },
      { round: 2, value: 0.25 },
    ]
    expect(
      pathOf(
        points,
        (x) => x * 10,
        (y) => y * 100,
      ),
    ).toBe("M10.0,50.0L20.0,25.0")
    expect(pathOf([], Number, Number)).toBe("")
  })
})

import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { insecureSeededRandom, insecureSeededSecret } from "@consilium/base/testing"
import type { Correction } from "@consilium/learning/correction"
import type { Examples } from "@consilium/learning/data"
import { gradient } from "@consilium/learning/logistic"
import { describe, expect, it } from "vitest"
import type { FacilityEffect } from "../src/facility-state.js"
import { afterCounted, type LocalState, startLocalState } from "../src/local-state.js"
import { messageCodec } from "../src/messages.js"
import { initialModel, modelParameters } from "../src/model.js"
import { epsilonAfter, type PrivateStudy } from "../src/privacy-plan.js"
import { trainPrivately } from "../src/private-training.js"
import { baseHash, decodeBase, encodeBase } from "../src/round-base.js"
import { PROTECTIONS, type Study, strategyName, trainingDigest, valueCount } from "../src/study.js"
import { trainRound } from "../src/training.js"
import { codeOf } from "./errors.js"
import { altered, eventsOf, placeOf, said } from "./forged-log.js"
import { type Options, type Outcome, runStudy } from "./harness.js"
import { changedRoster, rosterOf, type StudyChanges, signed, testStudy, toyRecords } from "./members.js"
import { somePrivacy, withPrivacy } from "./private-study.js"
import { audited, cohorts, insteadOf, models, voids } from "./scenes.js"

const ROWS: Readonly<Record<string, number>> = {
  "clinic-1": 12,
  "clinic-2": 30,
  "clinic-3": 7,
  "clinic-4": 21,
}
const tableOf = (facility: string): Examples => toyRecords(facility, 3, ROWS[facility] as number)
/** Every batch is the whole table, so a reference needs no knowledge of the order of rows. */
const WHOLE = { batchSize: 30, steps: 8, learningRate: 0.1, correction: "scaffold" } as const

const run = (changes: StudyChanges = {}, options: Options = {}): Outcome =>
  runStudy({
    ...options,
    study: { rounds: 5, protection: "plain", ...changes, training: { ...WHOLE, ...changes.training } },
    records: (facility) => ({ train: tableOf(facility), holdOut: tableOf(facility) }),
  })

/** What the announcements of a run's rounds say that the rounds start from. */
const basesOf = ({ study, log }: Pick<Outcome, "study" | "log">) =>
  log.flatMap(({ header, body }) => {
    if (header.type !== "announce") return []
    const message = decode(messageCodec, body)
    return message.type === "announce" && message.spec.purpose === "update"
      ? [decodeBase(study, message.spec.purpose, message.model)]
      : []
  })

/** The last model of a run. */
const finalModel = ({ study, log }: Outcome): Float64Array => {
  const { body } = log[placeOf(log, "finish")] as Outcome["log"][number]
  const message = decode(messageCodec, body)
  if (message.type !== "finish") throw new Error("The log holds no last model.")
  return modelParameters(study, message.model)
}

/**
 * SCAFFOLD as the paper's algorithm 1 has it, with option II, in 64-bit floats and nothing else: no clip, no grid, no sum but
 * the mean. Facilities keep and send control variates as they do there.
 */
const byThePaper = (study: Study, names: readonly string[]) => {
  const { steps, learningRate: eta } = study.training
  const size = study.model.features.length + 1
  const zeros = (): number[] => Array.from({ length: size }, () => 0)
  let x = [...initialModel(study)]
  let c = zeros()
  const own = new Map(names.map((name) => [name, zeros()]))
  const total = names.reduce((sum, name) => sum + tableOf(name).rows, 0)
  const controls: number[][] = [c]
  for (let round = 0; round < study.rounds; round++) {
    const sent = names.map((name) => {
      const table = tableOf(name)
      const all = Uint32Array.from({ length: table.rows }, (_, row) => row)
      const ci = own.get(name) as number[]
      let y = [...x]
      for (let step = 0; step < steps; step++) {
        const g = new Float64Array(size)
        gradient(Float64Array.from(y), table, all, g)
        y = y.map((value, j) => value - eta * ((g[j] as number) - (ci[j] as number) + (c[j] as number)))
      }
      const next = ci.map(
        (value, j) => value - (c[j] as number) + ((x[j] as number) - (y[j] as number)) / (steps * eta),
      )
      own.set(name, next)
      return {
        weight: table.rows / total,
        dy: y.map((value, j) => value - (x[j] as number)),
        dc: next.map((value, j) => value - (ci[j] as number)),
      }
    })
    const mean = (pick: "dy" | "dc", j: number): number =>
      sent.reduce((sum, one) => sum + one.weight * (one[pick][j] as number), 0)
    x = x.map((value, j) => value + mean("dy", j))
    c = c.map((value, j) => value + mean("dc", j))
    controls.push(c)
  }
  return { x, controls }
}

const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, j) => Math.abs(value - (b[j] as number))))

describe("SCAFFOLD", () => {
  const outcome = run()
  const names = Object.keys(ROWS)

  it("follows the paper, model and control variate, within what rounding to the grid leaves open", () => {
    const reference = byThePaper(outcome.study, names)
    const bases = basesOf(outcome)
    expect(bases).toHaveLength(5)
    // a coordinate of an update is off by less than 2^-14, the control variate by that over K eta
    const grid = 2 ** -14
    for (const [round, { control }] of bases.entries())
      expect(largest(control as Float64Array, reference.controls[round] as number[])).toBeLessThan(
        (3 * grid) / 0.8,
      )
    expect(largest(finalModel(outcome), reference.x)).toBeLessThan(5 * grid)
    // and that is not where averaging ends
    const averaged = finalModel(run({ training: { correction: "none" } }))
    expect(largest(averaged, reference.x)).toBeGreaterThan(50 * grid)
  })

  it("starts from a common control variate of zero, and so with averaging's first step", () => {
    const [first] = basesOf(outcome)
    expect([...(first?.control ?? [])]).toEqual([0, 0, 0, 0])
  })

  it("where all facilities have the same rows it is averaging, in every round", () => {
    const alike = (correction: "scaffold" | "none"): Float64Array =>
      finalModel(
        runStudy({
          study: { rounds: 4, protection: "plain", training: { ...WHOLE, correction } },
          records: () => ({ train: tableOf("clinic-2"), holdOut: tableOf("clinic-2") }),
          secretOf: (_, round) => insecureSeededSecret(round, "the same for all"),
        }),
      )
    expect(largest(alike("scaffold"), alike("none"))).toBeLessThan(4 * 2 ** -14)
  })

  it("of one local step is averaging, whatever the control variates are", () => {
    const once = (correction: "scaffold" | "none"): Outcome => run({ training: { steps: 1, correction } })
    const corrected = once("scaffold")
    const [, { control }] = basesOf(corrected) as [unknown, { control: Float64Array }]
    expect(Math.hypot(...control)).toBeGreaterThan(0.1)
    expect(largest(finalModel(corrected), finalModel(once("none")))).toBeLessThan(5 * 2 ** -14)
  })

  it("gives the same model under every protection, and every log stands up to an audit", () => {
    for (const protection of PROTECTIONS) {
      const other = run({ protection, rounds: 3 })
      expect(models(other)).toEqual(models(outcome).slice(0, 3))
      expect(toHex(audited(other).model)).toBe(models(other).at(-1))
    }
  })

  it("[S28] sends nothing beside the update: as many protected values, and no message with a control variate of a facility", () => {
    const averaging = run({ training: { correction: "none" } })
    expect(valueCount(outcome.study)).toBe(valueCount(averaging.study))
    const bytes = ({ log, nameOf }: Outcome) =>
      log.filter(({ header }) => nameOf(header.actor) !== "leader").map(({ body }) => body.length)
    expect(bytes(outcome)).toEqual(bytes(averaging))
    const kinds = ({ said: all }: Outcome): readonly string[] =>
      all.filter(({ by }) => by !== "leader").map(({ by, message }) => `${by} ${message.type}`)
    expect(kinds(outcome)).toEqual(kinds(averaging))
  })
})

describe("control variates and sums", () => {
  /** A run with the bases whose sums each facility was told that it counts in, and the control variates they lead to. */
  const watched = (options: Options = {}, changes: StudyChanges = {}) => {
    const counted = new Map<string, string[]>()
    const outcome = run(changes, {
      ...options,
      corrupt: (facility, step) => {
        for (const effect of step.effects as readonly FacilityEffect[])
          if (effect.type === "counted")
            counted.set(facility, [...(counted.get(facility) ?? []), toHex(effect.base)])
        return options.corrupt?.(facility, step) ?? step
      },
    })
    return { outcome, counted }
  }

  it("a facility takes its new one in the rounds whose sums hold its update, and in no others", () => {
    // the third facility's second update is never there in time
    const { outcome, counted } = watched({
      train: ({ facility, spec }) => (facility === "clinic-3" && spec.round === 2 ? "never" : {}),
    })
    expect(outcome.leader.phase).toBe("closed")
    const bases = basesOf(outcome).map((base) => toHex(baseHash(outcome.study, base)))
    expect(bases).toHaveLength(5)
    for (const name of ["clinic-1", "clinic-2", "clinic-4"]) expect(counted.get(name)).toEqual(bases)
    expect(counted.get("clinic-3")).toEqual(bases.filter((_, i) => i !== 1))
    audited(outcome)
  })

  it("with a part of the facilities the common one moves by their share", () => {
    const away = watched({
      train: ({ facility, spec }) => (facility === "clinic-3" && spec.round === 2 ? "never" : {}),
    }).outcome
    const [, before, after] = basesOf(away).map(({ control }) => control as Float64Array)
    const [, w, moved] = basesOf(away).map(({ parameters }) => parameters)
    const expected = (before as Float64Array).map((c, j) => {
      const mean = ((moved as Float64Array)[j] as number) - ((w as Float64Array)[j] as number)
      return c + 0.75 * (-mean / 0.8 - c)
    })
    expect(largest(after as Float64Array, expected)).toBeLessThan(1e-12)
  })

  it("somebody who joins begins with none, and counts among those enrolled from then on", () => {
    const rows: Readonly<Record<string, number>> = { ...ROWS, "clinic-5": 25 }
    const study: StudyChanges = { rounds: 4, protection: "plain", training: WHOLE }
    const signedRoster = signed(
      changedRoster(rosterOf(testStudy(4, study), 4, 2), { join: { "clinic-5": "fog-1" } }),
      testStudy(4, study),
    )
    const outcome = runStudy({
      study,
      rosters: [{ during: 1, signed: signedRoster }],
      records: (name) => ({ train: toyRecords(name, 3, rows[name] as number), holdOut: tableOf("clinic-1") }),
      // the one who joined is away in round 3
      train: ({ facility, spec }) => (facility === "clinic-5" && spec.round === 3 ? "never" : {}),
    })
    expect(cohorts(outcome).map((names) => names.length)).toEqual([4, 5, 4, 5])
    const bases = basesOf(outcome)
    for (const [i, share] of [1, 1, 0.8].entries()) {
      const [before, after] = bases.slice(i, i + 2) as [(typeof bases)[number], (typeof bases)[number]]
      const [c, next] = [before.control, after.control] as [Float64Array, Float64Array]
      const expected = c.map((value, j) => {
        const moved = (after.parameters[j] as number) - (before.parameters[j] as number)
        return value + share * (-moved / 0.8 - value)
      })
      expect(largest(next, expected)).toBeLessThan(1e-12)
    }
    audited(outcome)
  })

  it("a redone attempt sends the same integers and leads to the same model", () => {
    // the first certificate of round 3 reaches nobody in time, so its attempt is void
    const sent = new Map<string, string[]>()
    const { outcome, counted } = watched(
      {
        speak: insteadOf("leader", "certificate", (message) =>
          message.proposal.spec.round === 3 && message.proposal.spec.attempt === 1 ? [] : [message],
        ),
        train: ({ facility, spec, values }) => {
          const key = `${facility} ${toHex(spec.model)}`
          sent.set(key, [...(sent.get(key) ?? []), values.join()])
          return {}
        },
      },
      { protection: "shamir" },
    )
    expect(voids(outcome)).toHaveLength(1)
    // trained once for every base: what was sent again are the stored integers
    for (const integers of sent.values()) expect(integers).toHaveLength(1)
    expect(models(outcome)).toEqual(models(run()))
    for (const bases of counted.values()) expect(bases).toHaveLength(5)
    audited(outcome)
  })

  it("a facility keeps its old one until the round counted, and takes no other round's", () => {
    const study = testStudy(4, { training: WHOLE })
    const base = { parameters: initialModel(study), control: Float64Array.of(0.1, -0.2, 0.3, 0) }
    const spec = { round: 2, attempt: 1, model: baseHash(study, base) }
    const local: LocalState = { ...startLocalState(), control: Float64Array.of(0.5, 0, 0, -0.5) }
    const { values, local: trained } = trainRound({
      study,
      spec,
      parameters: base.parameters,
      common: base.control,
      examples: tableOf("clinic-1"),
      local,
      secret: insecureSeededSecret(1, "round"),
    })
    expect(trained.control).toEqual(local.control)
    expect(afterCounted(trained, new Uint8Array(32))).toBe(trained)
    const after = afterCounted(trained, spec.model)
    expect(after.nextControl).toBeNull()
    // from the integers that are sent, and nothing else of the training
    const expected = base.control.map(
      (c, j) => (local.control?.[j] as number) - c - (values[j] as number) / 12 / 2 ** 14 / (8 * 0.1),
    )
    expect(largest(after.control as Float64Array, expected)).toBeLessThan(1e-15)
    expect(afterCounted(after, spec.model)).toBe(after)
  })
})

describe("a leader that gives out another control variate", () => {
  const outcome = run({ rounds: 3 })
  const { study, log } = outcome

  it("than its spec names is refused by every facility", () => {
    const { security, leader } = run(
      { rounds: 3 },
      {
        speak: insteadOf("leader", "announce", (message) => {
          if (message.spec.round !== 2) return [message]
          const { parameters, control } = decodeBase(study, "update", message.model)
          const other = { parameters, control: (control as Float64Array).map((c) => c + 1e-9) }
          return [{ ...message, model: encodeBase(study, other, 1) }]
        }),
      },
    )
    expect(leader.phase).toBe("aborted")
    expect(security.map(({ by, code }) => `${by} ${code}`)).toEqual(
      expect.arrayContaining(Object.keys(ROWS).map((name) => `${name} round/wrong-model`)),
    )
  })

  it("than the opened sums lead to is found by an audit, also where its spec names it", () => {
    const place = placeOf(log, "announce", 2)
    const events = eventsOf(log)
    for (const honestSpec of [true, false]) {
      const event = said<"announce">(events[place] as (typeof events)[number], (message) => {
        const { parameters, control } = decodeBase(study, "update", message.model)
        const other = { parameters, control: (control as Float64Array).map((c) => c + 1e-9) }
        const model = baseHash(study, other)
        const spec = honestSpec ? message.spec : { ...message.spec, model }
        return { ...message, spec, model: encodeBase(study, other, 1) }
      })
      expect(() => audited(outcome, altered(outcome, place, event))).toThrow(
        honestSpec ? /the control variate of an announce is not the one/ : /starts from another model/,
      )
    }
  })

  it("of another length, or none, is refused before anybody trains", () => {
    const base = { parameters: initialModel(study), control: new Float64Array(3) }
    expect(codeOf(() => decodeBase(study, "update", encodeBase(study, base, 0)))).toBe("round/wrong-model")
    const plain = encodeBase(study, { ...base, control: null }, 0)
    expect(codeOf(() => decodeBase(study, "update", plain))).toMatch(/^encoding\//)
  })
})

describe("control variates and differential privacy", () => {
  const privateStudy = (changes: StudyChanges = {}): Study => {
    const { training, ...rest } = withPrivacy()
    return testStudy(4, { ...rest, training: { ...training, correction: "scaffold" }, ...changes })
  }
  const round = (study: Study, examples: Examples, local: LocalState, seed: number) =>
    trainRound({
      study,
      spec: { round: 1, attempt: 1, model: new Uint8Array(32).fill(seed) },
      parameters: initialModel(study),
      common: Float64Array.of(0.1, 0.2, -0.1, 0),
      examples,
      patients: Array.from({ length: examples.rows }, (_, row) => row),
      local,
      secret: insecureSeededSecret(seed, "round"),
    })

  it("[S28] are a function of the noisy integers that were sent, and of nothing else of the rows", () => {
    const study = privateStudy()
    for (let seed = 1; seed <= 5; seed++) {
      const local = { ...startLocalState(), control: Float64Array.of(seed, 0, -seed, 0.5) }
      const { values, local: after } = round(study, tableOf("clinic-2"), local, seed)
      const expected = [0.1, 0.2, -0.1, 0].map(
        (c, j) => (local.control[j] as number) - c - ((values[j] as number) * 2 ** -14) / (4 * 0.5),
      )
      expect(largest(after.nextControl?.control as Float64Array, expected)).toBeLessThan(1e-15)
      expect(after.control).toEqual(local.control)
      expect(after.personal).toBeNull()
    }
  })

  it("correct every noisy step by what is known already: sums, noise and cost are as without", () => {
    const study = privateStudy() as PrivateStudy
    const own = Float64Array.of(0.3, 0, -0.2, 0.1)
    const common = Float64Array.of(0.1, 0.2, -0.1, 0)
    const steps = (correction: Correction | null, count: number, of = study) =>
      trainPrivately({
        study: { ...of, training: { ...of.training, steps: count } },
        parameters: initialModel(study),
        correction,
        examples: tableOf("clinic-2"),
        patients: Array.from({ length: 30 }, (_, row) => row),
        random: insecureSeededRandom(1, "noise"),
      })
    // from one model one step draws the same patients and the same noise
    const [plain, corrected] = [steps(null, 1), steps({ own, common }, 1)]
    const shifted = plain.parameters.map((w, j) => w - 0.5 * ((common[j] as number) - (own[j] as number)))
    expect(largest(corrected.parameters, shifted)).toBeLessThan(1e-15)
    expect(corrected.event).toEqual(plain.event)
    // where nobody is drawn every further step is noise and correction alone
    const nobody = privateStudy({ privacy: somePrivacy({ sampleRate: 1e-9 }) }) as PrivateStudy
    const [quiet, pulled] = [steps(null, 4, nobody), steps({ own, common }, 4, nobody)]
    const far = quiet.parameters.map((w, j) => w - 4 * 0.5 * ((common[j] as number) - (own[j] as number)))
    for (const [j, value] of pulled.parameters.entries())
      expect(Math.abs(value / (far[j] as number) - 1)).toBeLessThan(1e-9)
    expect(epsilonAfter(study, 3)).toBe(epsilonAfter(testStudy(4, withPrivacy()) as PrivateStudy, 3))
  })

  it("[S28] are the same for two tables that lead to the same integers", () => {
    // nobody is drawn, so only the noise is sent: any two tables give the same
    const study = privateStudy({ privacy: somePrivacy({ sampleRate: 1e-9 }) })
    const [one, other] = [tableOf("clinic-2"), toyRecords("somebody else", 3, 30)].map((table) =>
      round(study, table, startLocalState(), 3),
    )
    expect(other?.values).toEqual(one?.values)
    expect(other?.local).toEqual(one?.local)
  })

  it("a study with noise in the steps closes, and is audited", () => {
    const { training, ...rest } = withPrivacy()
    const outcome = runStudy({
      study: { ...rest, rounds: 3, training: { ...training, correction: "scaffold" } },
      facilities: 4,
    })
    expect(outcome.leader.phase).toBe("closed")
    expect(basesOf(outcome).every(({ control }) => control !== null)).toBe(true)
    audited(outcome)
  })
})

describe("what a corrected study is called, and the streams it trains on", () => {
  it("scaffold where the server averages; with another rule that is its name", () => {
    const named = (strategy: Study["server"]["strategy"]): string =>
      strategyName(testStudy(4, { server: { strategy }, training: { correction: "scaffold" } }))
    expect(named("fedavg")).toBe("scaffold")
    expect(named("fedadam")).toBe("fedadam")
  })

  it("are its own; a study without has those that it always had", () => {
    const digest = (training: StudyChanges["training"] = {}): string =>
      toHex(trainingDigest(testStudy(4, { training })))
    const all = [
      digest(),
      digest({ correction: "scaffold" }),
      digest({ proximalMu: 0.1 }),
      digest({ proximalMu: 0.1, correction: "scaffold" }),
    ]
    expect(new Set(all).size).toBe(4)
    expect(digest({ correction: "none" })).toBe(all[0])
  })
})

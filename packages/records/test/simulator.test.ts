import { isConsiliumError } from "@consilium/base/errors"
import { digestHex, sha256 } from "@consilium/base/hash"
import { fromUtf8 } from "@consilium/base/platform"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { CARDIOVASCULAR_SCHEMA } from "../src/cardiovascular/schema.js"
import type { NumberColumn } from "../src/schema.js"
import { casePopulation } from "../src/simulator/case-population.js"
import { type DrawnPatient, drawPatient, simulateCohort } from "../src/simulator/cohort.js"
import { RANK_CORRELATIONS } from "../src/simulator/correlations.js"
import {
  CASE_MIXES,
  EXAMINATIONS,
  type ExaminationName,
  FACILITY_KINDS,
  type FacilityKind,
} from "../src/simulator/kinds.js"
import { momentsOf, sharesOf } from "../src/simulator/marginal.js"
import { omissionShare } from "../src/simulator/missingness.js"
import {
  CODE_COLUMNS,
  DRAWN_COLUMNS,
  type DrawnName,
  drawnPlace,
  NUMBER_COLUMNS,
  SEXES,
} from "../src/simulator/population.js"
import { eventRisk } from "../src/simulator/risk.js"
import { simulatedFile } from "../src/simulator/site-file.js"

const ROWS = 20_000
const mean = (values: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i] as number
  return sum / values.length
}

/** Patients of each kind before anything is missing, and their values by sex. */
const PATIENTS = new Map<FacilityKind, readonly DrawnPatient[]>(
  FACILITY_KINDS.map((kind) => {
    const random = insecureSeededRandom("marginals", kind)
    return [kind, Array.from({ length: ROWS }, () => drawPatient(casePopulation(kind), random))]
  }),
)
const GROUPS = FACILITY_KINDS.flatMap((kind) =>
  SEXES.map((sex) => {
    const own = (PATIENTS.get(kind) as readonly DrawnPatient[]).filter((patient) => patient.sex === sex)
    const valuesOf = (name: DrawnName): Float64Array =>
      Float64Array.from(own, ({ values }) => values[drawnPlace(name)] as number)
    return { kind, sex, count: own.length, valuesOf, marginals: casePopulation(kind)[sex].marginals }
  }),
)

// Seeds are fixed, so nothing here fails by chance; the rates are those of a fresh seed.
describe("marginals of a cohort", () => {
  // 4.5 standard errors: 7 in a million for each of 240 means and deviations
  it.each(GROUPS)("numbers are those of the table: $kind, $sex", ({ valuesOf, marginals, count }) => {
    for (const name of NUMBER_COLUMNS) {
      const values = valuesOf(name)
      const stated = momentsOf(marginals[name])
      const found = mean(values)
      const squares = values.map((value) => (value - found) ** 2)
      const variance = mean(squares)
      const ofVariance = Math.sqrt(mean(squares.map((square) => (square - variance) ** 2)) / count)
      expect(Math.abs(found - stated.mean), name).toBeLessThan((4.5 * stated.deviation) / Math.sqrt(count))
      // rounding to the last digit adds a twelfth of its square: at most a hundredth of any variance here
      expect(Math.abs(variance - stated.deviation ** 2), name).toBeLessThan(
        4.5 * ofVariance + 0.01 * stated.deviation ** 2,
      )
    }
  })

  // 4.5 standard errors: 7 in a million for each of 168 shares
  it.each(GROUPS)("codes are those of the table: $kind, $sex", ({ valuesOf, marginals, count }) => {
    for (const name of CODE_COLUMNS) {
      const values = valuesOf(name)
      for (const [place, share] of sharesOf(marginals[name]).entries()) {
        const found = mean(values.map((value) => (value === place ? 1 : 0)))
        expect(Math.abs(found - share), `${name} ${place}`).toBeLessThan(
          4.5 * Math.sqrt((share * (1 - share)) / count),
        )
      }
    }
  })

  it("every kind has its share of men", () => {
    for (const kind of FACILITY_KINDS) {
      const men = mean(
        (PATIENTS.get(kind) as readonly DrawnPatient[]).map(({ sex }) => (sex === "male" ? 1 : 0)),
      )
      expect(Math.abs(men - CASE_MIXES[kind].maleShare)).toBeLessThan((4.5 * 0.5) / Math.sqrt(ROWS))
    }
  })
})

/** Ranks from 0 on, ties in their middle. */
const ranksOf = (values: Float64Array): Float64Array => {
  const sorted = values.slice().sort()
  const ranks = new Map<number, number>()
  for (let from = 0, to = 0; from < sorted.length; from = to) {
    while (to < sorted.length && sorted[to] === sorted[from]) to++
    ranks.set(sorted[from] as number, (from + to - 1) / 2)
  }
  return values.map((value) => ranks.get(value) as number)
}

/** Ranks about their mean, with squares that add up to 1. */
const standardRanks = (values: Float64Array): Float64Array => {
  const ranks = ranksOf(values)
  const middle = mean(ranks)
  const size = Math.sqrt(mean(ranks.map((rank) => (rank - middle) ** 2)) * ranks.length)
  return ranks.map((rank) => (rank - middle) / size)
}

const product = (a: Float64Array, b: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}

describe("rank correlations of a cohort", () => {
  const wanted = new Map(RANK_CORRELATIONS.map(({ columns, value }) => [columns.join(), value]))

  it("name each pair once", () => {
    const pairs = RANK_CORRELATIONS.map(({ columns }) => [...columns].sort().join())
    expect(new Set(pairs).size).toBe(pairs.length)
    expect(RANK_CORRELATIONS.every(({ columns: [a, b] }) => a !== b)).toBe(true)
  })

  // Each group has at least 8,000 rows, so a coefficient's standard error is below 0.0115 (a little above 1 / sqrt(n)), and
  // that of the mean of eight groups below 0.004. 0.055 and 0.018 are missed about once in 1e-6 per coefficient.
  it("are those of the table at every kind and in both sexes", () => {
    const ranks = GROUPS.map(({ valuesOf }) => DRAWN_COLUMNS.map((name) => standardRanks(valuesOf(name))))
    let farthest = 0
    for (const [i, a] of DRAWN_COLUMNS.entries())
      for (const [j, b] of DRAWN_COLUMNS.entries()) {
        if (j <= i) continue
        const value = wanted.get(`${a},${b}`) ?? wanted.get(`${b},${a}`) ?? 0
        const found = ranks.map((columns) => product(columns[i] as Float64Array, columns[j] as Float64Array))
        for (const one of found) expect(Math.abs(one - value), `${a}, ${b}`).toBeLessThan(0.055)
        expect(Math.abs(mean(found) - value), `${a}, ${b}`).toBeLessThan(0.018)
        farthest = Math.max(farthest, Math.abs(mean(found) - value))
      }
    expect(farthest).toBeGreaterThan(0)
  })
})

describe("events", () => {
  it("come with the stated risk, whatever the risk is", () => {
    for (const kind of FACILITY_KINDS) {
      const risks = (PATIENTS.get(kind) as readonly DrawnPatient[]).map(({ sex, values, event }) => ({
        risk: eventRisk(sex, (name) => values[drawnPlace(name)] as number, CASE_MIXES[kind].severity),
        event: event ? 1 : 0,
      }))
      risks.sort((a, b) => a.risk - b.risk)
      // ten groups of rising risk; 4.5 standard errors: 7 in a million for each
      for (let tenth = 0; tenth < 10; tenth++) {
        const group = risks.slice((tenth * ROWS) / 10, ((tenth + 1) * ROWS) / 10)
        const variance = mean(group.map(({ risk }) => risk * (1 - risk)))
        expect(
          Math.abs(mean(group.map(({ event }) => event)) - mean(group.map(({ risk }) => risk))),
        ).toBeLessThan(4.5 * Math.sqrt(variance / group.length))
      }
    }
  })

  it("have the published risk at the centres", () => {
    const centre: Partial<Record<DrawnName, number>> = {
      age: 55,
      systolic_pressure: 125,
      diastolic_pressure: 72,
      total_cholesterol: 200,
      hdl_cholesterol: 50,
      triglycerides: 130,
      fasting_glucose: 100,
      bmi: 28,
      heart_rate: 72,
      creatinine: 0.85,
      hba1c: 5.6,
      uric_acid: 5.5,
      potassium: 4,
      albumin: 4,
      fibrinogen: 3,
    }
    const valueIn = (name: DrawnName): number => centre[name] ?? 0
    expect(eventRisk("female", valueIn, 0)).toBeCloseTo(0.055, 12)
    // 1.9 times the odds; D'Agostino et al. 2008 gives 10.3 % for a man
    expect(eventRisk("male", valueIn, 0)).toBeCloseTo(0.1, 2)
    expect(eventRisk("female", (name) => valueIn(name) + (name === "age" ? 10 : 0), 0)).toBeCloseTo(0.0852, 4)
    expect(eventRisk("female", (name) => (name === "smoking" ? 2 : valueIn(name)), 0)).toBeCloseTo(0.0948, 4)
  })
})

describe("what is missing", () => {
  const tables = new Map(
    FACILITY_KINDS.map((kind) => [
      kind,
      simulateCohort({ kind, rows: ROWS, random: insecureSeededRandom("missing", kind) }),
    ]),
  )
  const column = (kind: FacilityKind, name: string): Float64Array =>
    tables.get(kind)?.columns.get(name) as Float64Array
  const missingShare = (
    kind: FacilityKind,
    name: string,
    among: (row: number) => boolean = () => true,
  ): number => {
    const rows = [...column(kind, name)].filter((_, row) => among(row))
    return mean(rows.map((value) => (Number.isNaN(value) ? 1 : 0)))
  }

  it("is so as often as is stated, and never age, sex or event", () => {
    for (const kind of FACILITY_KINDS) {
      const mix = CASE_MIXES[kind]
      for (const name of ["age", "sex", "event", "origin"]) expect(missingShare(kind, name)).toBe(0)
      const examinationOf = new Map<string, ExaminationName>(
        Object.entries(EXAMINATIONS).flatMap(([one, columns]) =>
          columns.map((name) => [name, one as ExaminationName]),
        ),
      )
      const [ages, men] = [column(kind, "age"), column(kind, "sex")]
      for (const name of DRAWN_COLUMNS) {
        if (name === "age") continue
        const examination = examinationOf.get(name)
        const shares = ages.map((age, row) => {
          const sex = SEXES[men[row] as number] as "female" | "male"
          const omitted = examination === undefined ? 0 : omissionShare(mix.omissions[examination], age, sex)
          return omitted + (1 - omitted) * mix.lost
        })
        // 4.5 standard errors: 7 in a million for each of 92 shares
        expect(Math.abs(missingShare(kind, name) - mean(shares)), `${kind} ${name}`).toBeLessThan(
          4.5 * Math.sqrt(mean(shares.map((share) => share * (1 - share))) / ROWS),
        )
      }
    }
  })

  it("is whole examinations, more often of the young at a clinic", () => {
    const age = column("clinic", "age")
    const young = missingShare("clinic", "total_cholesterol", (row) => (age[row] as number) < 50)
    const old = missingShare("clinic", "total_cholesterol", (row) => (age[row] as number) > 65)
    expect(young).toBeGreaterThan(1.4 * old)
    const both = mean(
      Array.from(column("clinic", "hdl_cholesterol"), (value, row) =>
        Number.isNaN(value) && Number.isNaN(column("clinic", "triglycerides")[row]) ? 1 : 0,
      ),
    )
    expect(both / missingShare("clinic", "hdl_cholesterol")).toBeGreaterThan(0.9)
  })

  it("does not depend on what the value would have been, nor on the event beyond age and sex", () => {
    // at one age and in one sex, what is missing is a coin: 4.5 standard errors, twice 7 in a million
    const rows = [...column("emergency-centre", "age").keys()].filter(
      (row) =>
        Math.abs((column("emergency-centre", "age")[row] as number) - 60) < 1.5 &&
        column("emergency-centre", "sex")[row] === 1,
    )
    const event = column("emergency-centre", "event")
    const split = [0, 1].map((value) => rows.filter((row) => event[row] === value))
    const [without, withEvent] = split.map((own) =>
      mean(own.map((row) => (Number.isNaN(column("emergency-centre", "bmi")[row]) ? 1 : 0))),
    ) as [number, number]
    const error = Math.sqrt(0.25 / (split[0]?.length ?? 0) + 0.25 / (split[1]?.length ?? 0))
    expect(Math.abs(without - withEvent)).toBeLessThan(4.5 * error)
  })

  it("stays inside the schema's ranges where it is not", () => {
    for (const kind of FACILITY_KINDS)
      for (const found of CARDIOVASCULAR_SCHEMA.columns) {
        if (found.type === "identifier") continue
        const values = column(kind, found.name).filter((value) => !Number.isNaN(value))
        const [low, high] =
          found.type === "number"
            ? (found as NumberColumn).range
            : [0, found.type === "category" ? found.categories.length - 1 : 1]
        expect(
          values.every((value) => value >= low && value <= high),
          found.name,
        ).toBe(true)
        if (found.type !== "number") expect(values.every(Number.isInteger)).toBe(true)
      }
  })

  it("and who comes differ by kind", () => {
    const table = Object.fromEntries(
      FACILITY_KINDS.map((kind) => {
        const present = (name: string): number =>
          mean(column(kind, name).filter((value) => !Number.isNaN(value)))
        return [
          kind,
          `age ${present("age").toFixed(0)}, men ${present("sex").toFixed(2)}, systolic ${present("systolic_pressure").toFixed(0)}, ` +
            `treated ${present("pressure_treatment").toFixed(2)}, pain ${present("exertional_pain").toFixed(2)}, ` +
            `events ${present("event").toFixed(2)}, without lipids ${missingShare(kind, "total_cholesterol").toFixed(2)}, ` +
            `without ECG ${missingShare(kind, "ecg").toFixed(2)}`,
        ]
      }),
    )
    expect(table).toMatchInlineSnapshot(`
      {
        "clinic": "age 55, men 0.43, systolic 126, treated 0.34, pain 0.06, events 0.20, without lipids 0.17, without ECG 0.47",
        "emergency-centre": "age 60, men 0.53, systolic 136, treated 0.41, pain 0.33, events 0.50, without lipids 0.76, without ECG 0.09",
        "hospital": "age 66, men 0.56, systolic 132, treated 0.52, pain 0.17, events 0.52, without lipids 0.23, without ECG 0.06",
        "research-centre": "age 58, men 0.60, systolic 130, treated 0.38, pain 0.08, events 0.32, without lipids 0.02, without ECG 0.02",
      }
    `)
  })
})

const linesOf = (csv: Uint8Array): readonly string[] => fromUtf8(csv).trim().split("\n")
const fileOf = (kind: FacilityKind, coding: "canonical" | "site", rows: number, seed: string) =>
  simulatedFile({ kind, rows, coding, random: insecureSeededRandom(seed, kind) })

describe("files", () => {
  it("are the same bytes everywhere", () => {
    const digests = FACILITY_KINDS.flatMap((kind) =>
      (["canonical", "site"] as const).map(
        (coding) => `${kind}, ${coding}: ${digestHex(sha256(fileOf(kind, coding, 500, "bytes").csv))}`,
      ),
    )
    expect(digests).toMatchInlineSnapshot(`
      [
        "hospital, canonical: 7507481f94e6cb0c34f203b44462e3bc199a0732d2d53ac9ddd0391072075e28",
        "hospital, site: 3a0e1fc70946ff209eada27c73e532450e5a2a1f159d33da3f3a28d269e1a9b2",
        "clinic, canonical: be725154dae3b6a6bb76ca4622ea8e39d20c510cd8cd93d5a6c6394c410fa661",
        "clinic, site: ccf74d8cf4c1edc9e8982c9f897200be9f1338c4bef7e9bf04ac5b3edc6eeab8",
        "research-centre, canonical: 46b5d80313075fcc06dce1e88e5205868622b0fcbe468413fd7ad471162edb49",
        "research-centre, site: 51cf519a57a3bcd02c598479571d3eff16ed797bfd18dde2ebc19c327a695e85",
        "emergency-centre, canonical: 5ec90dac4b2ec428d75066dd4e29b6df8993f57301dc200bc5370bb32d9a4da7",
        "emergency-centre, site: e46ee57370db6e9491cedcc2f0c8437e1a62374eb44b80eecfd66461ab850abd",
      ]
    `)
    expect(fileOf("clinic", "canonical", 20, "a")).not.toEqual(fileOf("clinic", "canonical", 20, "b"))
  })

  it("say on every row that it describes nobody", () => {
    for (const kind of FACILITY_KINDS)
      for (const coding of ["canonical", "site"] as const) {
        const [header, ...rows] = linesOf(fileOf(kind, coding, 50, "marks").csv)
        expect(header?.startsWith("origin,")).toBe(true)
        expect(rows.length).toBe(50)
        expect(rows.every((row) => row.startsWith("synthetic,"))).toBe(true)
      }
  })

  it("are written in each kind's own way", () => {
    expect(
      FACILITY_KINDS.map((kind) => linesOf(fileOf(kind, "site", 1, "own").csv).join("\n")).join("\n\n"),
    ).toMatchInlineSnapshot(`
      "origin,PAT_ID,AGE_YRS,SEX,SBP,DBP,CHOL_TOT,CHOL_HDL,TRIG,GLUC_FAST,BMI,HR,CREAT,HBA1C,URATE,K,ALB,FIBRIN,SMOKER,ACTIVITY,ECG_READ,DM,BP_MEDS,FAM_HX,ANGINA,ALBUMINURIA,PAD,MACE10
      synthetic,H000001,72,M,95,47,146,21,311,209,38.2,NULL,1.52,8.9,6.8,4.7,3.4,470,Y,H,NORM,N,N,N,N,N,N,Y

      origin,patient_no,age,sex,bp_sys,bp_dia,cholesterol,hdl,triglycerides,glucose,bmi,pulse,creatinine,hba1c,uric_acid,potassium,albumin,fibrinogen,smoking,exercise,ecg,diabetes,bp_treatment,family_history,chest_pain,albuminuria,abi_low,cv_event
      synthetic,000001,61,1,163,86,7.14,1.22,2.54,4.7,22.7,72,101,5.3,488,3.9,42,2.4,1,3,-9,2,1,2,2,1,2,1

      origin,SUBJID,AGE,SEX,SYSBP,DIABP,CHOL,HDL,TRIG,GLUCFAST,BMI,HR,CREAT,HBA1C,URATE,K,ALB,FIBRINO,SUSMK,PHYSACT,EGINTP,DIABFL,HTNTRTFL,FAMHXFL,ANGFL,ALBUFL,PADFL,MACEFL
      synthetic,RC-000001,58,M,98,66,5.53,1.03,2.56,7.05,25.0,86,114.9,7.3,356.9,4.1,40,3.6,NEVER,HIGH,NORMAL,N,N,N,N,N,N,N

      origin,visit,age,gender,sys,dia,chol,hdl,tg,bg,bmi,hr,crea,a1c,ua,k,alb,fib,smokes,active,ecg,dm,bp_drugs,fhx,exert_pain,alb_u,pad,event_10y
      synthetic,ED000001,45,man,110,67,209,33,130,8.5,34.7,92,90,5.0,6.1,4.5,42,340,no,some,ok,false,false,false,false,false,n/a,true"
    `)
    expect(linesOf(fileOf("clinic", "canonical", 2, "own").csv).join("\n")).toMatchInlineSnapshot(`
      "origin,patient,age,sex,systolic_pressure,diastolic_pressure,total_cholesterol,hdl_cholesterol,triglycerides,fasting_glucose,bmi,heart_rate,creatinine,hba1c,uric_acid,potassium,albumin,fibrinogen,smoking,activity,ecg,diabetes,pressure_treatment,family_history,exertional_pain,albuminuria,artery_disease,event
      synthetic,P000001,61,male,163,86,276,47,225,84,22.7,72,1.14,5.3,8.2,3.9,4.2,2.4,never,high,NA,no,yes,no,no,yes,no,yes
      synthetic,P000002,43,male,120,71,NA,NA,NA,81,24.3,70,0.78,5.6,5.3,4.3,3.9,2.6,never,high,normal,no,no,yes,no,no,NA,no"
    `)
  })
})

describe("requests", () => {
  it("that name no rows get what is usual for the kind", () => {
    const rows = FACILITY_KINDS.map((kind) => simulateCohort({ kind, random: insecureSeededRandom(1) }).rows)
    expect(rows).toEqual([600, 240, 320, 400])
  })

  it.each([0, -1, 1.5, NaN, 1_000_001])("of %s rows are refused", (rows) => {
    expect(() => simulateCohort({ kind: "clinic", rows, random: insecureSeededRandom(1) })).toThrow(
      "simulated rows cannot be made",
    )
  })

  it("of a kind that does not exist are refused", () => {
    let thrown: unknown
    try {
      simulateCohort({ kind: "spa" as FacilityKind, rows: 1, random: insecureSeededRandom(1) })
    } catch (error) {
      thrown = error
    }
    expect(isConsiliumError(thrown, "records/bad-profile") && thrown.remedy).toBe(
      "Ask for one of: hospital, clinic, research-centre, emergency-centre.",
    )
  })
})

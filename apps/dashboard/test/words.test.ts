import { describe, expect, it } from "vitest"
import { glossaryId } from "../src/glossary-id.js"
import {
  ceremonyPhaseWords,
  GLOSSARY,
  markWords,
  phaseWords,
  protectionWords,
  roleWords,
  roomWords,
  securityWords,
  stateWords,
  stepWords,
  strategyWords,
} from "../src/words.js"

const cohort = { smallest: 3, threshold: 4, colluders: 1 }

describe("words on screen", () => {
  it("say in everyday language what a protection does, with its figures beside it", () => {
    expect(protectionWords({ protection: "shamir", cohort })).toEqual({
      plain:
        "Every update is cut into sealed pieces. Only a sum over at least 3 facilities is ever opened, and only when 4 facilities do it together.",
      term: "verified Shamir secret sharing, k\u00a0=\u00a03, t\u00a0=\u00a04, c\u00a0=\u00a01",
    })
    expect(protectionWords({ protection: "plain", cohort }).plain).toContain("can read")
    for (const protection of ["ckks", "bfv"])
      expect(protectionWords({ protection, cohort }).plain).toContain("only when 4 facilities do it together")
    for (const protection of ["ckks", "bfv", "paillier", "masked"])
      expect(protectionWords({ protection, cohort }).plain).toContain("at least 3 facilities")
  })

  it("fall back to the exact term where they do not know it", () => {
    for (const strange of ["quantum", "constructor", "__proto__"])
      expect([
        protectionWords({ protection: strange, cohort }),
        strategyWords(strange),
        markWords(strange),
        phaseWords(strange),
        ceremonyPhaseWords(strange),
        stateWords(strange),
        stepWords(strange),
        roleWords(strange),
      ]).toEqual([
        { plain: strange, term: null },
        { plain: strange, term: null },
        { plain: strange, term: null },
        strange,
        strange,
        strange,
        strange,
        strange,
      ])
    expect(securityWords("constructor/x")).toBe("Something happened that must not happen.")
    expect(securityWords("identity/bad-signature")).toBe("A message did not come from the one it named.")
  })

  it("say how many rounds still fit", () => {
    const planned = (rounds: number) => roomWords({ rounds, by: "planned" })
    const budget = (rounds: number) => roomWords({ rounds, by: "budget" })
    expect([planned(4), planned(0), budget(1200), budget(0), roomWords(null)]).toEqual([
      "all 4",
      "all done",
      "1,200",
      "none",
      "over",
    ])
  })

  it("have a glossary whose entries can be linked to", () => {
    const ids = GLOSSARY.map(({ word }) => glossaryId(word))
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) expect(id).toMatch(/^word-[a-z]+(-[a-z]+)*$/)
  })
})

import { describe, expect, it } from "vitest"
import {
  bytesText,
  capital,
  countText,
  dateTimeText,
  durationText,
  figureText,
  inNameOrder,
  numberWord,
  oddsText,
  paceText,
  percentText,
  plural,
  roughText,
  shortHash,
  timeText,
} from "../src/format.js"

describe("figures as text", () => {
  it.each([
    [0, "0 bytes"],
    [1, "1 byte"],
    [999, "999 bytes"],
    [1000, "1.00 kB"],
    [6294, "6.29 kB"],
    [9995, "10.0 kB"],
    [31_640, "31.6 kB"],
    [99_949, "99.9 kB"],
    [99_951, "100 kB"],
    [999_499, "999 kB"],
    [999_500, "1.00 MB"],
    [12_345_678, "12.3 MB"],
    [2_500_000_000_000, "2.50 TB"],
    [7_000_000_000_000_000, "7000 TB"],
  ])("%s bytes", (bytes, text) => {
    expect(bytesText(bytes)).toBe(text)
  })

  it("says a pace in the unit that suits it", () => {
    expect([0.04, 2.5, 23.9, 24, 240, 1440, 8640].map(paceText)).toEqual([
      "one round in 25.0 days",
      "2.5 rounds a day",
      "23.9 rounds a day",
      "1.0 rounds an hour",
      "10.0 rounds an hour",
      "1.0 rounds a minute",
      "6.0 rounds a minute",
    ])
  })

  it.each([
    [-5, "0 ms"],
    [0, "0 ms"],
    [999, "999 ms"],
    [1000, "1.0 s"],
    [9940, "9.9 s"],
    [9960, "10 s"],
    [59_499, "59 s"],
    [59_600, "1 min"],
    [96_000, "1 min 36 s"],
    [3_599_600, "1 h"],
    [7_380_000, "2 h 3 min"],
  ])("%s milliseconds", (milliseconds, text) => {
    expect(durationText(milliseconds)).toBe(text)
  })

  it("counts, shares and chances", () => {
    expect([0, 999, 1000, 1_234_567].map(countText)).toEqual(["0", "999", "1,000", "1,234,567"])
    expect([plural(1, "round"), plural(2000, "round"), plural(0, "facility", "facilities")]).toEqual([
      "1 round",
      "2,000 rounds",
      "0 facilities",
    ])
    expect([percentText(0.4583), figureText(0.4583), figureText(null)]).toEqual(["45.8 %", "0.458", "–"])
    expect([0, 1.23456, 0.001, 1e-5, 12_345, 123_456].map(roughText)).toEqual([
      "0",
      "1.23",
      "0.001",
      "1.0e-5",
      "12300",
      "1.2e+5",
    ])
    expect([oddsText(1e-5), oddsText(0)]).toEqual(["1 in 100,000", "never"])
    expect([numberWord(6), numberWord(10), numberWord(1200), capital("six")]).toEqual([
      "six",
      "ten",
      "1,200",
      "Six",
    ])
    expect([shortHash("c3f8e857ca40aa11"), shortHash("c3f8")]).toEqual(["c3f8e857ca40…", "c3f8"])
  })

  it("times are in UTC whatever the machine's zone", () => {
    expect(timeText("2025-11-21T07:46:12.345Z")).toBe("07:46:12 UTC")
    expect(timeText(0)).toBe("00:00:00 UTC")
    expect(dateTimeText("2025-03-01T23:59:59Z")).toBe("1 Mar 2025, 23:59:59 UTC")
  })
})

describe("the order of names", () => {
  it("counts numbers as numbers", () => {
    const names = ["fog-2", "clinic-10", "clinic-2", "clinic", "north-1-b", "north-1-a", "clinic-02"]
    expect(names.sort(inNameOrder)).toEqual([
      "clinic",
      "clinic-02",
      "clinic-2",
      "clinic-10",
      "fog-2",
      "north-1-a",
      "north-1-b",
    ])
    expect(inNameOrder("a-1", "a-1")).toBe(0)
  })
})

import { type Grouping, SMALL_CELL, shownGroups } from "@consilium/learning/small-cells"
import fc from "fast-check"
import { describe, expect, it } from "vitest"

/** Patients of one kind: which group of each grouping they are in, and how many have each label. */
interface Kind {
  readonly groups: readonly number[]
  readonly negatives: number
  readonly positives: number
}

const tableOf = (kinds: readonly Kind[], sizes: readonly number[]) => {
  const rows = kinds.flatMap(({ groups, negatives, positives }) =>
    Array.from({ length: negatives + positives }, (_, i) => ({ groups, label: i < positives ? 1 : 0 })),
  )
  return {
    groupings: sizes.map(
      (groups, at): Grouping => ({
        groups,
        groupOf: Int32Array.from(rows, (row) => row.groups[at] as number),
      }),
    ),
    rows: {
      labels: Uint8Array.from(rows, ({ label }) => label),
      patients: Uint32Array.from(rows.keys()),
    },
  }
}
const shownOf = (kinds: readonly Kind[], sizes: readonly number[]) => {
  const { groupings, rows } = tableOf(kinds, sizes)
  return shownGroups(groupings, rows)
}
/** Kinds of one grouping, from negatives and positives of each group. */
const single = (counts: readonly (readonly [number, number])[]): readonly Kind[] =>
  counts.map(([negatives, positives], group) => ({ groups: [group], negatives, positives }))

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const isSmall = (kinds: readonly Kind[]): boolean =>
  sum(kinds.map(({ negatives }) => negatives)) < SMALL_CELL ||
  sum(kinds.map(({ positives }) => positives)) < SMALL_CELL

describe("one grouping", () => {
  it.each([
    [
      "nothing is small",
      [
        [5, 5],
        [9, 6],
        [5, 20],
      ],
      [true, true, true],
    ],
    [
      "a group of four positives takes its neighbour with it",
      [
        [9, 4],
        [9, 6],
        [5, 20],
      ],
      [false, false, true],
    ],
    [
      "a group in the middle takes the one before it",
      [
        [9, 6],
        [9, 4],
        [5, 20],
      ],
      [false, false, true],
    ],
    [
      "the last takes the one before it",
      [
        [9, 6],
        [9, 6],
        [4, 20],
      ],
      [true, false, false],
    ],
    [
      "four negatives are as few",
      [
        [4, 30],
        [9, 6],
        [5, 20],
      ],
      [false, false, true],
    ],
    [
      "an empty group is small",
      [
        [9, 9],
        [9, 9],
        [0, 0],
      ],
      [true, false, false],
    ],
    [
      "two small groups that are large together need no third",
      [
        [4, 4],
        [9, 9],
        [4, 4],
      ],
      [false, true, false],
    ],
    [
      "two that stay small do",
      [
        [1, 1],
        [9, 9],
        [9, 9],
        [2, 2],
      ],
      [false, false, true, false],
    ],
    [
      "of two groups, both or none",
      [
        [100, 100],
        [100, 4],
      ],
      [false, false],
    ],
    [
      "nobody",
      [
        [0, 0],
        [0, 0],
      ],
      [false, false],
    ],
  ] as const)("%s", (_, counts, shown) => {
    expect(shownOf(single(counts), [counts.length])).toEqual([shown])
  })

  it("a row that belongs to no group hides them all", () => {
    const { groupings, rows } = tableOf(
      single([
        [20, 20],
        [20, 20],
      ]),
      [2],
    )
    const [{ groupOf }] = groupings as [Grouping]
    expect(shownGroups([{ groups: 2, groupOf: groupOf.with(7, -1) }], rows)).toEqual([[false, false]])
  })

  it("many rows of few patients are few", () => {
    const { groupings, rows } = tableOf(
      single([
        [20, 20],
        [20, 20],
      ]),
      [2],
    )
    expect(shownGroups(groupings, rows)).toEqual([[true, true]])
    // the first twenty positive rows are of four people
    const patients = Array.from(rows.labels, (_, row) => (row < 20 ? row % 4 : row))
    expect(shownGroups(groupings, { ...rows, patients })).toEqual([[false, false]])
  })

  // what an attacker with the total and all shown groups, who knows this very rule, can still believe of a hidden group
  it("[S29] nothing that is shown, nor which groups are hidden, tells how large a hidden group is", () => {
    const count = fc.integer({ min: 0, max: 9 })
    const table = fc.array(fc.tuple(count, count), { minLength: 2, maxLength: 4 })
    let hiddenOnes = 0
    fc.assert(
      fc.property(table, (counts) => {
        const found = shownOf(single(counts), [counts.length])
        const [shown] = found as [readonly boolean[]]
        const hidden = shown.flatMap((isShown, group) => (isShown ? [] : [group]))
        for (const [group, [negatives, positives]] of counts.entries())
          if (shown[group]) expect(Math.min(negatives, positives)).toBeGreaterThanOrEqual(SMALL_CELL)
        if (hidden.length === 0) return
        const rest = hidden.map((group) => counts[group] as [number, number])
        const [negatives, positives] = [sum(rest.map(([n]) => n)), sum(rest.map(([, p]) => p))]
        if (negatives + positives === 0) return
        for (const [i, group] of hidden.entries()) {
          hiddenOnes++
          // another table with the same total, the same shown groups and the same groups hidden
          const isPossible = (others: readonly (readonly [number, number])[]): boolean => {
            const changed = counts.map((given, at) => others[hidden.indexOf(at)] ?? given)
            return JSON.stringify(shownOf(single(changed), [counts.length])) === JSON.stringify(found)
          }
          const sizes = new Set<number>()
          for (let n = 0; n <= negatives && sizes.size < 4; n++)
            for (let p = 0; p <= positives && sizes.size < 4; p++)
              for (const [j] of hidden.entries()) {
                if (j === i || sizes.has(n + p)) continue
                // all that is left is in one of the other hidden groups
                const others = hidden.map((_, at): [number, number] =>
                  at === i ? [n, p] : at === j ? [negatives - n, positives - p] : [0, 0],
                )
                if (isPossible(others)) sizes.add(n + p)
              }
          expect({ counts, group, sizes: sizes.size >= Math.min(4, negatives + positives) }).toEqual({
            counts,
            group,
            sizes: true,
          })
        }
      }),
      { numRuns: 300 },
    )
    expect(hiddenOnes).toBeGreaterThan(100)
  })
})

/** Fractions in lowest terms, for an attacker that makes no rounding error. */
type Fraction = readonly [bigint, bigint]
const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? (a < 0n ? -a : a) : gcd(b, a % b))
const fraction = (n: bigint, d: bigint): Fraction => {
  const g = gcd(n, d) * (d < 0n ? -1n : 1n)
  return [n / g, d / g]
}
const rank = (rows: readonly (readonly number[])[]): number => {
  const left = rows.map((row) => row.map((value): Fraction => [BigInt(value), 1n]))
  let found = 0
  for (let column = 0; column < (left[0]?.length ?? 0); column++) {
    const at = left.findIndex((row, i) => i >= found && row[column]![0] !== 0n)
    if (at < 0) continue
    ;[left[found], left[at]] = [left[at]!, left[found]!]
    const pivot = left[found]!
    for (let i = found + 1; i < left.length; i++) {
      const [n, d] = left[i]![column]!
      const [pn, pd] = pivot[column]!
      if (n === 0n) continue
      left[i] = left[i]!.map(([vn, vd], j) => {
        const [wn, wd] = pivot[j]!
        // v - (n / d) / (pn / pd) w
        return fraction(vn * d * pn * wd - n * pd * wn * vd, vd * d * pn * wd)
      })
    }
    found++
  }
  return found
}

/** Every set of groupings, and every combination of their groups and of what is left of each, as kinds of patients. */
const combinations = (
  kinds: readonly Kind[],
  shown: readonly (readonly boolean[])[],
): readonly (readonly Kind[])[] => {
  const sets = Array.from({ length: 2 ** shown.length }, (_, set) =>
    shown.flatMap((_unused, at) => (Math.floor(set / 2 ** at) % 2 === 1 ? [at] : [])),
  )
  return sets.flatMap((set) => {
    const cells = new Map<string, Kind[]>()
    for (const kind of kinds) {
      const name = set.map((at) => (shown[at]![kind.groups[at]!] ? kind.groups[at] : "rest")).join()
      cells.set(name, [...(cells.get(name) ?? []), kind])
    }
    return [...cells.values()]
  })
}

const attack = (kinds: readonly Kind[], shown: readonly (readonly boolean[])[]): string[] => {
  const present = kinds.filter(({ negatives, positives }) => negatives + positives > 0)
  const indicator = (wanted: (kind: Kind) => boolean): number[] =>
    present.map((kind) => (wanted(kind) ? 1 : 0))
  const published = [
    indicator(() => true),
    ...shown.flatMap((groups, at) =>
      groups.flatMap((isShown, group) => (isShown ? [indicator((kind) => kind.groups[at] === group)] : [])),
    ),
  ]
  const known = rank(published)
  const follows = (of: readonly Kind[]): boolean =>
    rank([...published, indicator((kind) => of.includes(kind))]) === known
  const hidden = shown.flatMap((groups, at) =>
    groups.flatMap((isShown, group) =>
      isShown ? [] : [present.filter((kind) => kind.groups[at] === group)],
    ),
  )
  const everyone = ({ length }: readonly Kind[]): boolean => length === present.length
  return [...hidden, ...combinations(present, shown)]
    .filter((of) => of.length > 0 && !everyone(of) && isSmall(of) && follows(of))
    .map((of) => JSON.stringify(of))
}

describe("several groupings", () => {
  // kinds of chest pain as three yes-or-no columns: those with none of them are too few
  const chestPain = (typical: number): readonly Kind[] =>
    [
      [0, 0, 0],
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ].map((groups, i) => ({ groups, negatives: 20, positives: i === 0 ? typical : 20 }))

  it("three columns that give away a fourth, small group: the last one is hidden", () => {
    const [open, guarded] = [
      [true, true],
      [false, false],
    ]
    expect(shownOf(chestPain(5), [2, 2, 2])).toEqual([open, open, open])
    expect(shownOf(chestPain(4), [2, 2, 2])).toEqual([open, open, guarded])
    expect(attack(chestPain(4), [open, open, open])).toHaveLength(1)
  })

  it("a hidden group that another column cuts into pieces: the other column is hidden", () => {
    const kinds: readonly Kind[] = [
      { groups: [0, 2], negatives: 0, positives: 5 },
      { groups: [0, 0], negatives: 0, positives: 4 },
      { groups: [1, 2], negatives: 5, positives: 4 },
      { groups: [3, 1], negatives: 5, positives: 0 },
      { groups: [2, 1], negatives: 0, positives: 5 },
      { groups: [1, 0], negatives: 5, positives: 1 },
    ]
    const first = [false, true, false, false]
    // the first column's rest without the second's middle group is the first column's hidden group 0
    expect(attack(kinds, [first, [true, true, true]])).not.toEqual([])
    expect(shownOf(kinds, [4, 3])).toEqual([first, [false, false, false]])
  })

  it("of sex and age, which share all combinations, nothing is hidden for a small combination", () => {
    const kinds = [0, 1].flatMap((sex) =>
      [0, 1, 2].map((age): Kind => ({ groups: [sex, age], negatives: 3, positives: 3 })),
    )
    expect(shownOf(kinds, [2, 3]).flat()).not.toContain(false)
    expect(attack(kinds, shownOf(kinds, [2, 3]))).toEqual([])
  })

  it("[S29] no small group and no small combination follows from what is shown, by exact linear algebra", () => {
    const sizes = fc.array(fc.integer({ min: 2, max: 4 }), { minLength: 2, maxLength: 3 })
    const count = fc.oneof(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 5, max: 30 }))
    const tables = sizes.chain((of) =>
      fc.tuple(
        fc.constant(of),
        // few kinds, so that many combinations are empty and columns follow from each other
        fc.array(
          fc.record({
            groups: fc.tuple(...of.map((groups) => fc.integer({ min: 0, max: groups - 1 }))),
            negatives: count,
            positives: count,
          }),
          { minLength: 2, maxLength: 7 },
        ),
      ),
    )
    let guarded = 0
    fc.assert(
      fc.property(tables, ([of, given]) => {
        const merged = new Map<string, Kind>()
        for (const kind of given) {
          const name = kind.groups.join()
          const before = merged.get(name) ?? { negatives: 0, positives: 0 }
          merged.set(name, {
            groups: kind.groups,
            negatives: before.negatives + kind.negatives,
            positives: before.positives + kind.positives,
          })
        }
        const kinds = [...merged.values()]
        const shown = shownOf(kinds, of)
        expect(attack(kinds, shown)).toEqual([])
        const alone = of.map((size, at) =>
          shownOf(
            kinds.map((kind) => ({ ...kind, groups: [kind.groups[at] as number] })),
            [size],
          ).flat(),
        )
        if (JSON.stringify(alone) !== JSON.stringify(shown)) guarded++
      }),
      { numRuns: 1500 },
    )
    // the rule for several groupings at once had something to do
    expect(guarded).toBeGreaterThan(20)
  })
})

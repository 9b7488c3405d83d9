/** Fewest patients of each label in a group whose figures are shown. */
export const SMALL_CELL = 5

/** One way of cutting rows into groups. */
export interface Grouping {
  readonly groups: number
  /** The group of each row; -1 for a row that belongs to none of them. */
  readonly groupOf: Int32Array
}

/** What decides how large a group is. */
export interface CountedRows {
  /** 0 or 1 per row. */
  readonly labels: Uint8Array
  /** Whose each row is: several rows of one patient count once. */
  readonly patients: ArrayLike<number>
}

/** The rows of each place. */
const cellsOf = (places: readonly string[]): ReadonlyMap<string, readonly number[]> => {
  const cells = new Map<string, number[]>()
  for (const [row, place] of places.entries()) {
    const known = cells.get(place)
    if (known === undefined) cells.set(place, [row])
    else known.push(row)
  }
  return cells
}

const isSmall = ({ labels, patients }: CountedRows, cells: readonly (readonly number[])[]): boolean => {
  const seen = [new Set<number>(), new Set<number>()] as const
  for (const cell of cells)
    for (const row of cell) {
      seen[labels[row] as 0 | 1].add(patients[row] as number)
      if (seen[0].size >= SMALL_CELL && seen[1].size >= SMALL_CELL) return false
    }
  return true
}

const REST = "rest"

/** Where each row stands in what is shown of a grouping: its group, or the rest, which subtraction from the total gives. */
const placesIn = ({ groupOf }: Grouping, shown: readonly boolean[]): readonly string[] =>
  Array.from(groupOf, (group) => (shown[group] === true ? String(group) : REST))

/**
 * The shown group nearest to a hidden one, in the order of the groups; of two as near, the first. It does not look at
 * sizes: which group is hidden to keep another one company must not tell how large either is.
 */
const nearestShown = (shown: readonly boolean[]): number => {
  for (let distance = 1; distance < shown.length; distance++) {
    const found = shown.findIndex(
      (isShown, group) => isShown && (shown[group - distance] === false || shown[group + distance] === false),
    )
    if (found >= 0) return found
  }
  return -1
}

/** Which groups of one grouping are shown: none that is small, and not all but such that the rest of the total is small. */
const shownAlone = (grouping: Grouping, rows: CountedRows): boolean[] => {
  const shown = new Array<boolean>(grouping.groups).fill(false)
  if (grouping.groupOf.includes(-1)) return shown
  const cells = cellsOf(Array.from(grouping.groupOf, String))
  for (const group of shown.keys()) shown[group] = !isSmall(rows, [cells.get(String(group)) ?? []])
  while (shown.includes(true) && shown.includes(false)) {
    if (!isSmall(rows, [cellsOf(placesIn(grouping, shown)).get(REST) ?? []])) break
    shown[nearestShown(shown)] = false
  }
  return shown
}

/** The largest prime below 2^26: products of two remainders are exact in doubles. */
const PRIME = 67_108_859
const inverse = (value: number): number => {
  let power = 1
  for (
    let left = PRIME - 2, base = value;
    left > 0;
    left = Math.floor(left / 2), base = (base * base) % PRIME
  )
    if (left % 2 === 1) power = (power * base) % PRIME
  return power
}

interface Echelon {
  readonly rows: readonly (readonly number[])[]
  /** The column in which each row has the only 1 of its column. */
  readonly pivots: readonly number[]
}

/** The reduced echelon form of equations, modulo a prime. */
const echelonOf = (equations: readonly (readonly number[])[]): Echelon => {
  const rows = equations.map((equation) => [...equation])
  const columns = rows[0]?.length ?? 0
  const pivots: number[] = []
  for (let column = 0; column < columns && pivots.length < rows.length; column++) {
    const rank = pivots.length
    const at = rows.findIndex((row, i) => i >= rank && row[column] !== 0)
    if (at < 0) continue
    const pivot = rows[at] as number[]
    rows[at] = rows[rank] as number[]
    rows[rank] = pivot
    const factor = inverse(pivot[column] as number)
    for (let j = column; j < columns; j++) pivot[j] = ((pivot[j] as number) * factor) % PRIME
    for (const row of rows) {
      const times = row === pivot ? 0 : (row[column] as number)
      if (times === 0) continue
      for (let j = column; j < columns; j++)
        row[j] = ((row[j] as number) + (PRIME - times) * (pivot[j] as number)) % PRIME
    }
    pivots.push(column)
  }
  return { rows: rows.slice(0, pivots.length), pivots }
}

/** Whether the sum over some columns follows from the equations: only the rows with pivots among them can make it up. */
const follows = ({ rows, pivots }: Echelon, columns: ReadonlySet<number>): boolean => {
  const parts = rows.filter((_, i) => columns.has(pivots[i] as number))
  const [first] = parts
  if (first === undefined) return false
  return first.every((_, j) => {
    const total = parts.reduce((sum, row) => sum + (row[j] as number), 0) % PRIME
    return total === (columns.has(j) ? 1 : 0)
  })
}

/** Where each row, or each kind of rows, stands in some groupings at once. */
const together = (places: readonly (readonly string[])[]): readonly string[] =>
  (places[0] ?? []).map((_, i) => places.map((place) => place[i]).join("|"))

/**
 * Takes the groupings in their order and hides each one whole with which something small would follow from the equations
 * that the total and all groups shown so far make: a small group, or a small combination of groups such as the women
 * among the old. Which combinations have no rows counts as known.
 */
const hideTogether = (
  groupings: readonly Grouping[],
  shown: readonly boolean[][],
  rows: CountedRows,
): void => {
  const groups = groupings.map(({ groupOf }) => Array.from(groupOf, String))
  // rows that no grouping tells apart
  const kinds = [...cellsOf(together(groups)).values()]
  const first = kinds.map(([row = 0]) => row)
  const ofKinds = (places: readonly string[]): readonly string[] => first.map((row) => places[row] as string)
  const smallOf = (places: readonly string[]): readonly ReadonlySet<number>[] =>
    [...cellsOf(places).values()]
      .filter((cell) =>
        isSmall(
          rows,
          cell.map((kind) => kinds[kind] as readonly number[]),
        ),
      )
      .map((cell) => new Set(cell))
  const smallGroups = groups.flatMap((places) => smallOf(ofKinds(places)))
  let equations: readonly (readonly number[])[] = [kinds.map(() => 1)]
  // every set of the groupings that stay, by what is shown of each
  let sets: readonly (readonly (readonly string[])[])[] = [[]]
  for (const [at, grouping] of groupings.entries()) {
    const own = shown[at] as boolean[]
    if (!own.includes(true)) continue
    const more = [
      ...equations,
      ...own.flatMap((isShown, group) =>
        isShown ? [first.map((row) => (grouping.groupOf[row] === group ? 1 : 0))] : [],
      ),
    ]
    const place = ofKinds(placesIn(grouping, own))
    const moreSets = sets.map((set) => [...set, place])
    const echelon = echelonOf(more)
    const small = [
      ...smallGroups,
      ...[...sets, ...moreSets].flatMap((set) => (set.length < 2 ? [] : smallOf(together(set)))),
    ]
    if (small.some((cell) => follows(echelon, cell))) {
      own.fill(false)
      continue
    }
    equations = more
    sets = [...sets, ...moreSets]
  }
}

/**
 * Which groups may be shown beside the figures of all rows together, so that no figure of a small group can be read off
 * or worked out by adding and subtracting what is shown. A group is small with fewer than `SMALL_CELL` patients of either
 * label. Of a grouping with a small group, further groups are hidden until what is left of the total is not small; of
 * groupings that give away a small combination together, the last one is hidden whole. A grouping to which some row does
 * not belong is hidden whole.
 *
 * Math:   let U be the span of the indicators of all rows and of the shown groups, over the combinations that have rows:
 *         no indicator of a small group lies in U, nor that of a small combination of groups of any set of groupings,
 *         with the hidden groups of each as one
 * Shape:  one row of answers per grouping, one answer per group
 * Error:  an outsider who knows this rule still learns that a hidden group, or a neighbour of it, is small
 * Cost:   (shown groups)^2 * combinations with rows, for each grouping; 2^groupings looks over the rows
 * Source: complementary suppression, as in Duncan, Elliot and Salazar-Gonzalez 2011, Statistical Confidentiality, checked
 *         by the linear equations that an attacker would solve; groups are hidden by place and not by size because of
 *         the minimality attack of Wong, Fu, Wang and Pei 2007
 */
export const shownGroups = (
  groupings: readonly Grouping[],
  rows: CountedRows,
): readonly (readonly boolean[])[] => {
  const shown = groupings.map((grouping) => shownAlone(grouping, rows))
  hideTogether(groupings, shown, rows)
  return shown
}

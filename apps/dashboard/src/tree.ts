import type { EdgeView, ParticipantView } from "@consilium/node/api/study-view"
import { inNameOrder } from "./format.js"

export interface Place {
  readonly participant: ParticipantView
  readonly x: number
  readonly y: number
  readonly width: number
  /** What it has sent to its parent. */
  readonly edge: EdgeView | null
}
export interface Tree {
  readonly places: readonly Place[]
  readonly height: number
  /** Columns from left to right, or an indented list from top to bottom. */
  readonly shape: "columns" | "list"
  /** Room for the words at an edge's beginning, where it is straight. */
  readonly labelWidth: number
}

export const NODE_HEIGHT = 56
const ROW = 84
const LIST_ROW = 84
const LIST_NODE_HEIGHT = 72
const INDENT = 22
/** Narrower than this, labels find no room between columns. */
const LIST_BELOW = 900
const NODE_WIDTH = 168

export const nodeHeight = (shape: Tree["shape"]): number =>
  shape === "list" ? LIST_NODE_HEIGHT : NODE_HEIGHT

export const totalBytes = ({ bytes }: Pick<EdgeView, "bytes">): number =>
  bytes.update + bytes.relayed + bytes.opening + bytes.metadata

const COLUMNS: Readonly<Record<ParticipantView["role"], number>> = {
  facility: 0,
  fog: 1,
  leader: 2,
  authority: 2,
}
/** From the top of a list and of the last column. */
const RANKS: Readonly<Record<ParticipantView["role"], number>> = {
  authority: 0,
  leader: 1,
  fog: 2,
  facility: 3,
}

/** Participants from the root down, every one after its parent; those without a known parent come first. */
export const inTreeOrder = (
  participants: readonly ParticipantView[],
): readonly { readonly participant: ParticipantView; readonly depth: number }[] => {
  const names = new Set(participants.map(({ name }) => name))
  const sorted = [...participants].sort((a, b) => inNameOrder(a.name, b.name))
  const childrenOf = (parent: string | null): readonly ParticipantView[] =>
    sorted.filter((p) => (p.parent !== null && names.has(p.parent) ? p.parent : null) === parent)
  const ordered: { participant: ParticipantView; depth: number }[] = []
  const seen = new Set<string>()
  const visit = (participant: ParticipantView, depth: number): void => {
    if (seen.has(participant.name)) return
    seen.add(participant.name)
    ordered.push({ participant, depth })
    for (const child of childrenOf(participant.name)) visit(child, depth + 1)
  }
  const roots = [...childrenOf(null)].sort((a, b) => RANKS[a.role] - RANKS[b.role])
  for (const root of roots) visit(root, 0)
  return ordered
}

const edgeOf = (edges: readonly EdgeView[], name: string): EdgeView | null =>
  edges.find(({ from }) => from === name) ?? null

/** Where each participant stands in a space of the given width. */
export const treeOf = (
  participants: readonly ParticipantView[],
  edges: readonly EdgeView[],
  width: number,
): Tree => {
  const ordered = inTreeOrder(participants)
  if (width < LIST_BELOW)
    return {
      shape: "list",
      labelWidth: 0,
      height: ordered.length === 0 ? 0 : (ordered.length - 1) * LIST_ROW + LIST_NODE_HEIGHT,
      places: ordered.map(({ participant, depth }, row) => ({
        participant,
        x: depth * INDENT,
        y: row * LIST_ROW,
        width: Math.max(0, width - depth * INDENT),
        edge: edgeOf(edges, participant.name),
      })),
    }
  const gap = (width - NODE_WIDTH) / 2
  const rows = new Map<string, number>()
  let next = 0
  // facilities stand below each other; everybody else in the middle of its own
  for (const { participant } of ordered)
    if (participant.role === "facility") rows.set(participant.name, next++)
  for (const column of [1, 2]) {
    const wanted = ordered
      .filter(({ participant }) => COLUMNS[participant.role] === column)
      .map(({ participant }) => {
        if (participant.role === "authority") return { name: participant.name, row: 0 }
        const own = participants.flatMap((p) =>
          p.parent === participant.name ? (rows.get(p.name) ?? []) : [],
        )
        const middle = own.length > 0 ? (Math.min(...own) + Math.max(...own)) / 2 : (next - 1) / 2
        return { name: participant.name, row: Math.max(0, middle) }
      })
      .sort((a, b) => a.row - b.row)
    let free = 0
    for (const { name, row } of wanted) {
      rows.set(name, Math.max(row, free))
      free = Math.max(row, free) + 1.25
    }
  }
  const places = ordered.map(({ participant }) => ({
    participant,
    x: COLUMNS[participant.role] * gap,
    y: (rows.get(participant.name) ?? 0) * ROW,
    width: NODE_WIDTH,
    edge: edgeOf(edges, participant.name),
  }))
  return {
    shape: "columns",
    labelWidth: Math.min(230, (gap - NODE_WIDTH) * 0.62),
    places,
    height: Math.max(0, ...places.map(({ y }) => y + NODE_HEIGHT)),
  }
}

/** The authority signs who takes part but sends nothing through the tree, so the log does not list it. */
export const withAuthority = (participants: readonly ParticipantView[]): readonly ParticipantView[] =>
  participants.length === 0 || participants.some(({ role }) => role === "authority")
    ? participants
    : [
        {
          id: "authority",
          name: "authority",
          role: "authority",
          parent: null,
          joinedAtRound: 1,
          leftAfterRound: null,
          lastHeardAt: null,
        },
        ...participants,
      ]

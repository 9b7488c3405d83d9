import type { StudyView } from "@consilium/node/api/study-view"
import {
  type Edge,
  EdgeLabelRenderer,
  type EdgeProps,
  Handle,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
} from "@xyflow/react"
import { EdgeFigures } from "./edge-figures.js"
import { bytesText, plural } from "./format.js"
import { Notice, Panel, Term } from "./notices.js"
import { isOver } from "./timeline.js"
import { nodeHeight, type Place, type Tree, totalBytes, treeOf, withAuthority } from "./tree.js"
import { useWidth } from "./use-width.js"
import { roleWords } from "./words.js"

/** What is known to have crossed an edge. The log holds only part of it, so the figure is the least that it was. */
const atLeast = (bytes: number): string =>
  bytes === 0 ? "nothing counted yet" : `at least ${bytesText(bytes)}`

type ParticipantNode = Node<{
  readonly place: Place
  readonly shape: Tree["shape"]
  readonly received: number
}>
type SendingEdge = Edge<{
  /** Null for the authority, which vouches but sends nothing. */
  readonly place: Place | null
  readonly shape: Tree["shape"]
  readonly labelWidth: number
  readonly active: boolean
}>

const presence = ({ participant }: Place): string | null => {
  if (participant.leftAfterRound !== null) return `left after round ${participant.leftAfterRound}`
  return participant.joinedAtRound > 1 ? `joined in round ${participant.joinedAtRound}` : null
}

/** What stands below a participant's name. In a list there is no room beside the line for what it sends. */
const lines = (place: Place, received: number, shape: Tree["shape"]): readonly string[] => {
  const { participant, edge } = place
  const role = presence(place) ?? roleWords(participant.role)
  if (shape === "columns" || edge === null)
    return [presence(place) === null && received > 0 ? `${atLeast(received)} in` : role]
  const sent = totalBytes(edge)
  const flows = [...(received > 0 ? [`${bytesText(received)} in`] : []), `${bytesText(sent)} out`]
  const moved = sent > 0 || received > 0 ? `at least ${flows.join(", ")}` : atLeast(0)
  return [presence(place) === null ? moved : `${role}, ${moved}`, edge.carries[0] ?? "messages"]
}

const Participant = ({ data: { place, shape, received } }: NodeProps<ParticipantNode>) => {
  const { participant } = place
  const [up, down] = shape === "list" ? [Position.Left, Position.Bottom] : [Position.Right, Position.Left]
  return (
    <div
      className={`node node-${participant.role} ${participant.leftAfterRound === null ? "" : "node-left"}`}
    >
      <Handle id="up" type="source" position={up} isConnectable={false} />
      <Handle id="down" type="target" position={down} isConnectable={false} />
      <Handle id="above" type="source" position={Position.Top} isConnectable={false} />
      <Handle id="below" type="target" position={Position.Bottom} isConnectable={false} />
      <span className="node-name">
        {participant.name}
        {participant.name !== participant.role && <span className="node-role">{participant.role}</span>}
      </span>
      {lines(place, received, shape).map((line) => (
        <span key={line} className="node-sub">
          {line}
        </span>
      ))}
    </div>
  )
}

const Sending = ({ sourceX, sourceY, targetX, targetY, data }: EdgeProps<SendingEdge>) => {
  if (data === undefined) return null
  const { place, shape, active, labelWidth } = data
  // the authority sends nothing through the tree
  if (place === null) return <path className="edge edge-vouching" d={`M${targetX},${targetY}V${sourceY}`} />
  const name = active ? "edge edge-active" : "edge"
  // lines to one parent lie on each other: drawn from there, their dashes do so too
  if (shape === "list")
    return <path className={`${name} edge-list`} d={`M${place.x - 11},${targetY}V${sourceY}H${sourceX}`} />
  const bend = sourceX + labelWidth
  const middle = (bend + targetX) / 2
  const { edge } = place
  return (
    <>
      <path
        className={name}
        d={`M${sourceX},${sourceY}H${bend}C${middle},${sourceY} ${middle},${targetY} ${targetX},${targetY}`}
      />
      {edge !== null && (
        <EdgeLabelRenderer>
          <div
            className="edge-label"
            style={{ width: labelWidth, transform: `translate(${sourceX}px, ${sourceY}px) translateY(-50%)` }}
          >
            <strong>{atLeast(totalBytes(edge))}</strong>
            <span>{edge.carries[0] ?? "messages"}</span>
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  )
}

const nodeTypes = { participant: Participant }
const edgeTypes = { sending: Sending }
const STILL = { x: 0, y: 0, zoom: 1 }
const NO_ATTRIBUTION = { hideAttribution: true }

/** The picture. All that it says stands in the table below it, so it is hidden from screen readers and keyboards. */
const Picture = ({ view, width }: { readonly view: StudyView; readonly width: number }) => {
  const participants = withAuthority(view.participants)
  const tree = treeOf(participants, view.edges, width)
  const { shape, labelWidth } = tree
  const received = new Map(view.regions.map(({ fog, bytes }) => [fog, totalBytes({ bytes })]))
  const underWay = [view.rounds.at(-1), view.keys?.ceremonies.at(-1)].some(
    (attempt) => attempt !== undefined && !isOver(attempt),
  )
  const active = view.state === "running" && underWay
  const height = nodeHeight(shape)
  const nodes = tree.places.map(
    (place): ParticipantNode => ({
      id: place.participant.name,
      type: "participant",
      position: { x: place.x, y: place.y },
      width: place.width,
      height,
      data: { place, shape, received: received.get(place.participant.name) ?? 0 },
    }),
  )
  const sending = tree.places.flatMap((place): SendingEdge[] => {
    const { name, parent, leftAfterRound } = place.participant
    if (parent === null) return []
    const data = { place, shape, labelWidth, active: active && leftAfterRound === null }
    return [
      {
        id: name,
        type: "sending",
        source: name,
        sourceHandle: "up",
        target: parent,
        targetHandle: "down",
        data,
      },
    ]
  })
  const leader = participants.find(({ role }) => role === "leader")
  const vouching = participants
    .filter(({ role }) => role === "authority")
    .flatMap(({ name }): SendingEdge[] =>
      leader === undefined
        ? []
        : [
            {
              id: name,
              type: "sending",
              source: leader.name,
              sourceHandle: "above",
              target: name,
              targetHandle: "below",
              data: { place: null, shape, labelWidth, active: false },
            },
          ],
    )
  return (
    <div className={`picture picture-${shape}`} style={{ height: tree.height }}>
      <ReactFlow
        nodes={nodes}
        edges={[...sending, ...vouching]}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        viewport={STILL}
        minZoom={1}
        maxZoom={1}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        panOnDrag={false}
        panOnScroll={false}
        zoomOnScroll={false}
        zoomOnPinch={false}
        zoomOnDoubleClick={false}
        preventScrolling={false}
        disableKeyboardA11y
        proOptions={NO_ATTRIBUTION}
      />
    </div>
  )
}

const count = (view: StudyView, role: string): number =>
  view.participants.filter((p) => p.role === role && p.leftAfterRound === null).length

/** Whether some facilities talk to the leader with no fog between. */
const isMixed = ({ participants }: StudyView): boolean => {
  const leader = participants.find(({ role }) => role === "leader")?.name
  return participants.some(({ role, parent }) => role === "facility" && parent === leader)
}

export const Topology = ({ view }: { readonly view: StudyView }) => {
  const [place, width] = useWidth<HTMLDivElement>()
  const [facilities, fogs] = [count(view, "facility"), count(view, "fog")]
  return (
    <Panel
      id="topology"
      title="Who takes part, and what each sends"
      wide
      about={
        <>
          Records stay where they are. Each <Term word="Facility">facility</Term> sends to{" "}
          {fogs > 0 && (
            <>
              its regional <Term word="Fog">fog</Term>
              {isMixed(view) && " or straight to the leader"}, each fog to{" "}
            </>
          )}
          the <Term word="Leader">leader</Term>; the <Term word="Authority">authority</Term> signs who takes
          part.
        </>
      }
    >
      {view.participants.length === 0 ? (
        <Notice kind="empty" title="Nobody has enrolled yet">
          <p>Participants appear here as soon as the authority has signed their list.</p>
        </Notice>
      ) : (
        <>
          <div className="picture-place" ref={place} aria-hidden="true">
            {width > 0 && <Picture view={view} width={width} />}
          </div>
          <p className="visually-hidden">
            {plural(facilities, "facility", "facilities")}, {plural(fogs, "fog")}, one leader and one
            authority. The table lists every connection.
          </p>
          <EdgeFigures view={view} />
        </>
      )}
    </Panel>
  )
}

import { addTraffic, noTraffic, type Traffic } from "@consilium/federation/messages"
import type { Directory, Participant } from "@consilium/federation/roster"
import type { Protection, Study } from "@consilium/federation/study"
import type { EdgeView, RegionView } from "./study-view.js"

/** What is known to have crossed the edges of the tree. */
export interface Edges {
  readonly edges: readonly EdgeView[]
  readonly regions: readonly RegionView[]
}

/** What carries updates under each protection: up from a facility, and on from a fog. */
const CARRIERS: Readonly<
  Record<Protection, { readonly facility: readonly string[]; readonly fog: readonly string[] }>
> = {
  plain: { facility: ["updates, not protected"], fog: ["sums of the region's updates"] },
  shamir: { facility: ["sealed shares of updates"], fog: ["sealed shares passed on"] },
  ckks: {
    facility: ["encrypted updates", "sealed shares of keys"],
    fog: ["sums of encrypted updates", "sealed shares of keys passed on"],
  },
  bfv: {
    facility: ["encrypted updates", "sealed shares of keys"],
    fog: ["sums of encrypted updates", "sealed shares of keys passed on"],
  },
  masked: {
    facility: ["masked updates", "sealed shares of their masks"],
    fog: ["sums of masked updates", "sealed shares of masks passed on"],
  },
}

const carriedBy = (study: Study, child: Participant): readonly string[] => {
  const { protection } = study
  const signed = protection === "plain" ? ["signatures"] : ["signatures", "sealed partial openings"]
  const figures = study.validation === "report" ? ["figures on held-out patients"] : []
  return child.role === "facility"
    ? [...CARRIERS[protection].facility, ...signed, ...figures]
    : [...CARRIERS[protection].fog, ...signed, ...figures, "counts of bytes"]
}

/** The edges with those of everybody in the directory who was not there before. */
export const withEdgesOf = (edges: Edges, study: Study, directory: Directory): Edges => {
  const known = new Set(edges.edges.map(({ from }) => from))
  const fresh = directory.roster.participants.flatMap((child): readonly EdgeView[] =>
    child.parent === null || known.has(child.name)
      ? []
      : [
          {
            from: child.name,
            to: directory.get(child.parent).name,
            carries: carriedBy(study, child),
            bytes: noTraffic,
          },
        ],
  )
  const regions = directory.fogs.map((fog): RegionView => {
    const before = edges.regions.find((region) => region.fog === fog.name)
    const facilities = directory.childrenOf(fog.id).map(({ name }) => name)
    return {
      fog: fog.name,
      facilities: [...new Set([...(before?.facilities ?? []), ...facilities])],
      bytes: before?.bytes ?? noTraffic,
    }
  })
  return {
    edges: [...edges.edges, ...fresh],
    regions: [
      ...edges.regions.filter(({ fog }) => !regions.some((region) => region.fog === fog)),
      ...regions,
    ],
  }
}

/** Counts a message of `from` on every edge from there up to the leader. */
export const withMessage = (
  edges: Edges,
  directory: Directory,
  from: Participant,
  traffic: Traffic,
): Edges => {
  const path = new Set<string>()
  for (
    let at: Participant | undefined = from;
    at !== undefined && at.parent !== null;
    at = directory.find(at.parent)
  )
    path.add(at.name)
  return {
    regions: edges.regions,
    edges: edges.edges.map((edge) =>
      path.has(edge.from) ? { ...edge, bytes: addTraffic(edge.bytes, traffic) } : edge,
    ),
  }
}

const most = (a: Traffic, b: Traffic): Traffic => ({
  update: Math.max(a.update, b.update),
  relayed: Math.max(a.relayed, b.relayed),
  opening: Math.max(a.opening, b.opening),
  metadata: Math.max(a.metadata, b.metadata),
})

/** Adds what a fog reports of its facilities. Where it only ever had one, the report is that facility's own. */
export const withReport = (edges: Edges, fog: string, received: Traffic): Edges => {
  const regions = edges.regions.map((region) =>
    region.fog === fog ? { ...region, bytes: addTraffic(region.bytes, received) } : region,
  )
  const region = regions.find((one) => one.fog === fog)
  const [only, another] = region?.facilities ?? []
  if (region === undefined || only === undefined || another !== undefined)
    return { edges: edges.edges, regions }
  return {
    regions,
    edges: edges.edges.map((edge) =>
      edge.from === only ? { ...edge, bytes: most(edge.bytes, region.bytes) } : edge,
    ),
  }
}

import { equalBytes, toHex } from "@consilium/base/bytes"
import { COMPLETE } from "@consilium/federation/budget-end"
import { ROTATION_ASKED } from "@consilium/federation/leader-keys"
import { STOPPED } from "@consilium/federation/leader-stop"
import { emptyHead, headerHash, type LogEntry } from "@consilium/federation/log"
import { type Message, trafficOf } from "@consilium/federation/messages"
import { epsilonAfter, type FiguresGiven, isPrivate, NO_FIGURES } from "@consilium/federation/privacy-plan"
import { isFigures } from "@consilium/federation/purpose"
import type { SubgroupReport } from "@consilium/federation/reporting"
import type { Directory, Participant } from "@consilium/federation/roster"
import {
  openingThreshold,
  parameterCount,
  type Study,
  strategyName,
  studyDigest,
} from "@consilium/federation/study"
import { subgroupTables } from "@consilium/federation/subgroup-figures"
import { budgetView } from "./budget-view.js"
import { withEdgesOf, withMessage, withReport } from "./edge-fold.js"
import {
  certified,
  type FiguresFold,
  figuresView,
  givenBy,
  NO_FIGURES_VIEW,
  nothingUnderWay,
  startFigures,
  startFiguresAttempt,
  underWay,
  withGiven,
  withLastAttempt,
  withSum,
} from "./figures-fold.js"
import {
  amongOthers,
  ceremonyAnnounced,
  ceremonyOf,
  checkedBy,
  dealerOut,
  dealtBy,
  epochBegun,
  inCeremony,
  type KeyFold,
  keysProposed,
  noteRefused,
  openingUsed,
  rotationAsked,
  startKeys,
  testBegun,
  testedBy,
} from "./key-fold.js"
import type { StudyHandle } from "./leader-service.js"
import { messageOf, rotationIn } from "./logged.js"
import { metricsView, startRound, withPhase, withStep } from "./round-fold.js"
import type {
  AttemptView,
  FiguresAttemptView,
  FiguresView,
  ParticipantView,
  RoundView,
  StudyView,
} from "./study-view.js"

/** A study's log folded up to some event: the view, and what the next event is read with. */
export interface FoldState {
  readonly view: StudyView
  readonly study: Study
  /** Who is enrolled in the round under way. */
  readonly directory: Directory
  /** Everybody who ever took part, newest roster first. */
  readonly rosters: () => readonly Directory[]
  readonly aborted: boolean
  /** Parameter hash of the model under way, and for each facility how many noisy updates it has sent and from which model. */
  readonly model: string
  readonly updates: ReadonlyMap<string, { readonly count: number; readonly model: string }>
  /** Figures as they were opened, and under way, and in how many of them each facility took part. */
  readonly figures: FiguresFold
  /** What facilities report of the last model by groups of patients, by facility. */
  readonly reports: ReadonlyMap<string, SubgroupReport>
  /** Null where the protection has no keys. */
  readonly keys: KeyFold | null
}

export const timeOf = (milliseconds: number): string => new Date(milliseconds).toISOString()

/** A participant's name, also of one who has left; its id where no roster knows it. */
export const nameIn = (rosters: readonly Directory[], id: Uint8Array): string =>
  rosters.find((roster) => roster.find(id) !== undefined)?.get(id).name ?? toHex(id)

/** The view of a study of which nothing is logged yet. */
export const startView = (handle: Pick<StudyHandle, "study" | "rosters">): FoldState => {
  const { study } = handle
  const directory = handle.rosters().at(-1) as Directory
  const digest = studyDigest(study)
  const { cohort, model } = study
  const keys = startKeys(study, directory)
  const view: StudyView = {
    id: toHex(digest),
    name: study.name,
    state: "waiting",
    reason: null,
    protection: study.protection,
    strategy: strategyName(study),
    model: { kind: model.kind, features: model.features, parameters: parameterCount(study) },
    plannedRounds: study.rounds,
    cohort: { smallest: cohort.minCohort, threshold: cohort.threshold, colluders: cohort.colluders },
    marks: [
      ...(study.insecureSeed === null ? [] : ["insecure-seed"]),
      ...(study.syntheticData ? ["synthetic-data"] : []),
      ...(study.privacy?.metrics === "exact" ? ["exact-metrics"] : []),
    ],
    startedAt: null,
    updatedAt: null,
    log: { events: 0, head: toHex(emptyHead(digest).hash) },
    participants: [],
    edges: [],
    regions: [],
    rounds: [],
    figures: NO_FIGURES_VIEW,
    keys: keys?.view ?? null,
    finals: [],
    subgroups: subgroupTables(study, []),
    privacy: [],
    budget: null,
    security: [],
  }
  const start: FoldState = {
    view,
    study,
    directory,
    rosters: () => handle.rosters(),
    aborted: false,
    model: "",
    updates: new Map(),
    figures: startFigures(),
    reports: new Map(),
    keys,
  }
  return withBudget(null, enrolled(start, directory, 1))
}

const patch = (state: FoldState, changes: Partial<StudyView>): FoldState => ({
  ...state,
  view: { ...state.view, ...changes },
})

const inRound = (state: FoldState, change: (round: RoundView) => RoundView): FoldState => {
  const { rounds } = state.view
  const last = rounds.at(-1)
  return last === undefined ? state : patch(state, { rounds: [...rounds.slice(0, -1), change(last)] })
}

const withKeys = (state: FoldState, change: (keys: KeyFold) => KeyFold): FoldState => {
  if (state.keys === null) return state
  const keys = change(state.keys)
  return { ...patch(state, { keys: keys.view }), keys }
}

/** Changes what is under way: the ceremony, or else the figures, or else the last attempt at a round. */
const inAttempt = (state: FoldState, change: <A extends AttemptView>(attempt: A) => A): FoldState => {
  if (ceremonyOf(state.keys) !== null) return withKeys(state, (keys) => inCeremony(keys, change))
  return state.figures.underWay === null ? inRound(state, change) : inFigures(state, change)
}

const inFigures = (
  state: FoldState,
  change: (attempt: FiguresAttemptView) => FiguresAttemptView,
): FoldState => patch(state, { figures: withLastAttempt(state.view.figures, change) })

/** Changes the last attempt at a round, or at figures, if those are under way. */
const inRoundOrFigures = (
  state: FoldState,
  change: <A extends RoundView | FiguresAttemptView>(attempt: A) => A,
): FoldState => (state.figures.underWay === null ? inRound(state, change) : inFigures(state, change))

/** The state in which a directory holds from some round on: who is new in it has joined, who is missing has left. */
const enrolled = (state: FoldState, directory: Directory, round: number): FoldState => {
  const { participants, privacy } = state.view
  const stay = participants.map((one) => {
    const here = directory.roster.participants.some(({ name }) => name === one.name)
    if (here) return { ...one, leftAfterRound: null }
    return { ...one, leftAfterRound: one.leftAfterRound ?? round - 1 }
  })
  const fresh = directory.roster.participants
    .filter(({ name }) => !participants.some((one) => one.name === name))
    .map(
      ({ id, name, role, parent }): ParticipantView => ({
        id: toHex(id),
        name,
        role,
        parent: parent === null ? null : directory.get(parent).name,
        joinedAtRound: round,
        leftAfterRound: null,
        lastHeardAt: null,
      }),
    )
  const newcomers = fresh.filter(({ role }) => role === "facility")
  const others = withKeys(state, (keys) => amongOthers(keys, state.study, directory))
  return {
    ...patch(others, {
      cohort: {
        ...state.view.cohort,
        threshold: openingThreshold(state.study, directory.facilities.length),
      },
      participants: [...stay, ...fresh],
      privacy: [
        ...privacy,
        ...newcomers.map(({ name }) => ({ facility: name, ...spentAfter(state.study, 0) })),
      ],
      ...withEdgesOf(state.view, state.study, directory),
    }),
    directory,
  }
}

const spentAfter = (
  study: Study,
  updates: number,
  figures: FiguresGiven = NO_FIGURES,
): { epsilon: number | null; delta: number | null } => {
  if (!isPrivate(study)) return { epsilon: null, delta: null }
  const nothing = updates + figures.statistics + figures.evaluations === 0
  return { epsilon: nothing ? 0 : epsilonAfter(study, updates, figures), delta: study.privacy.delta }
}

/**
 * The state after updates of some facilities. The same integers protected again, for the same model, cost nothing; an
 * update that was lost on its way, or came too late, is in its facility's own ledger alone.
 */
const withUpdates = (state: FoldState, names: readonly string[]): FoldState => {
  if (!isPrivate(state.study)) return state
  if (state.figures.underWay !== null)
    return withSpent({ ...state, figures: withGiven(state.figures, names) })
  const updates = new Map(state.updates)
  for (const name of names) {
    const { count, model } = updates.get(name) ?? { count: 0, model: "" }
    if (model !== state.model) updates.set(name, { count: count + 1, model: state.model })
  }
  return withSpent({ ...state, updates })
}

/** The state that says of each facility what its updates and figures come to. */
const withSpent = (state: FoldState): FoldState => {
  const privacy = state.view.privacy.map((row) => {
    const spent = spentAfter(
      state.study,
      state.updates.get(row.facility)?.count ?? 0,
      givenBy(state.figures, row.facility),
    )
    return spent.epsilon === row.epsilon ? row : { facility: row.facility, ...spent }
  })
  return patch(state, { privacy })
}

const heard = (state: FoldState, actor: Uint8Array, at: string): FoldState => {
  const id = toHex(actor)
  return patch(state, {
    participants: state.view.participants.map((one) => (one.id === id ? { ...one, lastHeardAt: at } : one)),
  })
}

/** The state after one more event. Events of unknown kinds lengthen the log and do nothing else. */
export const applyEntry = (state: FoldState, entry: LogEntry): FoldState =>
  withBudget(state, afterEntry(state, entry))

/** The state with a budget that follows what has changed in it. */
const withBudget = (before: FoldState | null, after: FoldState): FoldState => {
  const { privacy, state, rounds } = after.view
  const isSame =
    before !== null &&
    before.view.privacy === privacy &&
    before.view.state === state &&
    before.view.rounds.at(-1)?.phase === rounds.at(-1)?.phase
  if (isSame) return after
  const updatesOf = (facility: string): number => after.updates.get(facility)?.count ?? 0
  return patch(after, { budget: budgetView(after.study, after.view, updatesOf) })
}

const afterEntry = (state: FoldState, entry: LogEntry): FoldState => {
  const { header } = entry
  const at = timeOf(header.at)
  const stamped = patch(state, {
    startedAt: state.view.startedAt ?? at,
    updatedAt: at,
    log: { events: header.seq, head: toHex(headerHash(header)) },
  })
  const [kind = "", ...rest] = header.type.split(":")
  if (rest.length > 0)
    return kind === "security"
      ? withSecurity(stamped, at, rest.join(":"), header.actor)
      : heard(stamped, header.actor, at)
  if (kind === "dealer-excluded") {
    const dealer = nameIn(state.rosters(), header.actor)
    return ceremonyOf(state.keys) === null
      ? inRound(stamped, (round) => withStep(round, dealer, "excluded", at, "It dealt a false share."))
      : withKeys(stamped, (keys) => dealerOut(keys, dealer, at))
  }
  if (kind === ROTATION_ASKED) return withRotation(heard(stamped, header.actor, at), entry)
  if (kind === "aborted")
    return {
      ...inAttempt(patch(stamped, { state: "aborted" }), (attempt) =>
        attempt.endedAt === null ? withPhase(attempt, "void", at) : attempt,
      ),
      aborted: true,
    }
  if (kind === "sum-opened" && state.figures.underWay !== null) {
    const figures = withSum(state.study, state.figures, entry.body)
    return { ...patch(heard(stamped, header.actor, at), { figures: openedView(state, figures) }), figures }
  }
  if (kind === "sum-opened" || kind === STOPPED) return heard(stamped, header.actor, at)
  const logged = messageOf(entry)
  if (logged === null) return stamped
  const present = heard(stamped, header.actor, at)
  const from = state.directory.find(header.actor)
  if (from === undefined) return present
  if (from.role === "leader") return afterLeader(present, logged.message, at)
  const counted = patch(
    present,
    withMessage(present.view, state.directory, from, trafficOf(logged.message, logged.bytes)),
  )
  return afterOther(counted, from, logged.message, at)
}

/** The view of all figures that are opened. */
const openedView = (state: FoldState, figures: FiguresFold): FiguresView =>
  figuresView(state.study, state.view.figures, figures, (id) => nameIn(state.rosters(), id))

const withSecurity = (state: FoldState, at: string, code: string, actor: Uint8Array): FoldState => {
  const about = nameIn(state.rosters(), actor)
  const told = patch(state, { security: [...state.view.security, { at, code, about }] })
  const ceremony = ceremonyOf(state.keys)
  const counting = state.figures.underWay === null ? undefined : state.view.figures.attempts.at(-1)
  const { phase } = ceremony ?? counting ?? state.view.rounds.at(-1) ?? {}
  const dropped = code === "round/equivocation" && phase === "collecting"
  const what = ceremony === null ? "It sent two different updates." : "It dealt two different keys."
  return dropped ? inAttempt(told, (one) => withStep(one, about, "excluded", at, what)) : told
}

const withRotation = (state: FoldState, entry: LogEntry): FoldState => {
  const asked = rotationIn(entry)
  return asked === null ? state : withKeys(state, (keys) => rotationAsked(keys, asked.by, asked.reason))
}

const afterLeader = (state: FoldState, message: Message, at: string): FoldState => {
  const phase = (
    next: RoundView["phase"],
    change: <A extends RoundView | FiguresAttemptView>(attempt: A) => A = (attempt) => attempt,
  ): FoldState => inRoundOrFigures(state, (attempt) => withPhase(change(attempt), next, at))
  const nameOf = (id: Uint8Array): string => nameIn(state.rosters(), id)
  switch (message.type) {
    case "announce": {
      const { spec } = message
      const changed = state
        .rosters()
        .find(({ digest }) => equalBytes(digest, spec.roster) && !equalBytes(digest, state.directory.digest))
      const ready = changed === undefined ? state : enrolled(state, changed, spec.round)
      const { facilities, fogs } = ready.directory
      if (spec.purpose === "keys") {
        const dealers = facilities.map(({ name }) => name)
        return withKeys(patch(ready, { state: "running" }), (keys) =>
          ceremonyAnnounced(keys, spec, dealers, at),
        )
      }
      const names = [...facilities, ...fogs].map(({ name }) => name)
      const { purpose } = spec
      if (isFigures(purpose)) {
        const attempt = startFiguresAttempt(purpose, spec, names, at)
        const attempts = [...ready.view.figures.attempts, attempt]
        return {
          ...patch(withKeys(ready, openingUsed), {
            state: "running",
            figures: { ...ready.view.figures, attempts },
          }),
          figures: underWay(ready.figures, purpose, spec),
        }
      }
      return {
        ...patch(withKeys(ready, openingUsed), {
          state: "running",
          rounds: [...ready.view.rounds, startRound(spec, names, at)],
        }),
        model: toHex(spec.model),
        figures: nothingUnderWay(ready.figures),
      }
    }
    case "lock":
      return inAttempt(state, (attempt) => withPhase(attempt, "locked", at))
    case "openings":
      return inAttempt(state, (attempt) => withPhase(attempt, "challenged", at))
    case "key-test":
      return withKeys(state, (keys) => testBegun(keys, message, nameOf, at))
    case "propose":
      return message.proposal.spec.purpose === "keys"
        ? withKeys(state, (keys) => keysProposed(keys, at))
        : phase("certifying")
    case "certificate":
      if (message.proposal.spec.purpose === "keys")
        return withKeys(state, (keys) => epochBegun(keys, message, state.directory, nameOf, at))
      return {
        ...phase("opening", (attempt) => ({
          ...attempt,
          cohort: message.proposal.cohort.map(({ facility }) => nameOf(facility)),
          openers: message.openers.map(nameOf),
        })),
        figures: certified(state.figures, message.proposal),
      }
    case "candidate":
      return phase("validating")
    case "void": {
      const ended = inAttempt(state, (attempt) =>
        withPhase({ ...attempt, reason: message.reason }, "void", at),
      )
      return ceremonyOf(state.keys) === null ? { ...ended, figures: nothingUnderWay(ended.figures) } : ended
    }
    case "closed":
      if (state.figures.underWay !== null)
        return { ...phase("closed"), figures: nothingUnderWay(state.figures) }
      return inRound(state, (round) =>
        withPhase({ ...round, modelHash: toHex(message.accepted) }, "closed", at),
      )
    case "ended":
      return patch(
        state,
        state.aborted
          ? { state: "aborted", reason: message.reason }
          : { state: "complete", reason: message.reason === COMPLETE ? null : message.reason },
      )
    default:
      return state
  }
}

const afterOther = (state: FoldState, from: Participant, message: Message, at: string): FoldState => {
  const { name } = from
  const step = (what: string, detail: string | null = null): FoldState =>
    inAttempt(state, (attempt) => withStep(attempt, name, what, at, detail))
  const nameOf = (id: Uint8Array): string => nameIn(state.rosters(), id)
  switch (message.type) {
    case "submit":
      // nothing that was trained is in a key
      return ceremonyOf(state.keys) === null
        ? withUpdates(step("submitted"), [name])
        : withKeys(state, (keys) => dealtBy(keys, name, at))
    case "update":
      return withUpdates(step("submitted"), [name])
    case "region": {
      const members = message.submissions.map(({ submission }) =>
        nameIn(state.rosters(), submission.facility),
      )
      const what = state.figures.underWay === null ? "updates" : "figures"
      const summed = step("summed", `It added the ${what} of ${members.length} facilities.`)
      return inRoundOrFigures(withUpdates(summed, members), (round) =>
        members.reduce((one, member) => withStep(one, member, "submitted", at), round),
      )
    }
    case "opening":
      return step("answered-challenge")
    case "key-tested":
      return withKeys(state, (keys) => testedBy(keys, name, message, at))
    case "verdict": {
      if (ceremonyOf(state.keys) !== null)
        return withKeys(state, (keys) => checkedBy(keys, name, message, nameOf, at))
      const disputed = message.complaints.length
      return step("checked-shares", disputed === 0 ? null : `It disputes ${disputed} of them.`)
    }
    case "signature":
      return step("signed")
    case "partial":
      return step("opened")
    case "refusal":
      return withKeys(step("refused", `${message.reason} (${message.code})`), (keys) =>
        noteRefused(keys, name, message.code),
      )
    case "report": {
      const { metrics } = message
      if (metrics === null) return step("reported", "It keeps its figures to itself.")
      return inRound(step("reported"), (round) => ({
        ...round,
        metrics: [...round.metrics, metricsView(name, metrics)],
      }))
    }
    case "final-report": {
      const { global, personal, subgroups } = message
      const final = {
        facility: name,
        global: global && metricsView(name, global),
        personal: personal && metricsView(name, personal),
      }
      const reports = new Map(state.reports)
      if (subgroups === null) reports.delete(name)
      else reports.set(name, subgroups)
      const told = [...reports].map(([facility, report]) => ({ facility, report }))
      return {
        ...patch(state, {
          finals: [...state.view.finals.filter(({ facility }) => facility !== name), final],
          subgroups: subgroupTables(state.study, told),
        }),
        reports,
      }
    }
    case "traffic":
      return patch(step("counted"), withReport(state.view, name, message.received))
    case "security":
      return patch(state, {
        security: [
          ...state.view.security,
          { at, code: message.code, about: nameIn(state.rosters(), message.about) },
        ],
      })
    default:
      return state
  }
}

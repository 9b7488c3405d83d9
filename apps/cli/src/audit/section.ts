import type { RandomSource } from "@consilium/base/random"

/** One figure of an audit, beside what it must not pass. */
export interface AuditRow {
  /** Stable, for scripts: `inversion/unprotected`. */
  readonly id: string
  /** What was tried, in plain words. */
  readonly what: string
  /** The figure, as it is printed: with its unit where it has one. */
  readonly value: string
  /** What it is held against: `>= 0.75`, `<= 0.318`. A figure that is only told has none: `null`. */
  readonly bound: string | null
  /** Whether the figure is within its bound; `null` where there is no bound. */
  readonly holds: boolean | null
  /**
   * How sure the row's statement is: wrong in at most this share less than 1 of all audits, whatever was built. Left out
   * where nothing is left to chance.
   */
  readonly confidence?: number
}

/** A part of the audit: attacks on one thing. */
export interface Section {
  readonly title: string
  readonly rows: readonly AuditRow[]
}

export interface AuditOptions {
  /** The folder with the public heart records; synthetic rows in their form without it. */
  readonly data: string | null
  /** Public randomness, so that the audit can be repeated to the digit; the system's own without it. */
  readonly seed: number | null
  /** How many times attacks that need many tries are tried. */
  readonly trials: number
  /** Where a section draws its randomness: one stream a purpose. */
  readonly random: (purpose: string) => RandomSource
  /** A line of progress, on stderr. */
  readonly progress: (line: string) => void
}

/** Builds one section. A section that cannot be run throws; it never reports a figure that it did not measure. */
export type SectionBuilder = (options: AuditOptions) => Promise<Section>

/** Whether nothing in these sections fails to hold. */
export const allHold = (sections: readonly Section[]): boolean =>
  sections.every(({ rows }) => rows.every(({ holds }) => holds !== false))

import { X509Certificate } from "node:crypto"
import { isoTime, type Milliseconds, milliseconds, timestamp } from "@consilium/base/units"
import { subjectOf } from "./tls.js"

const DAY = 86_400_000
/** Certificates start this much before they are issued, for clocks that are slightly wrong. */
export const BACKDATE_MS = 3_600_000
const MARKS = [30, 7, 1] as const
/** How long before its end a certificate should be renewed, unless it is short-lived: then at two thirds of its life. */
const RENEWAL_MS = 30 * DAY

/** That a certificate ends soon, in words for its administrator. */
export interface CertificateWarning {
  /** The mark that was passed, in days before the end: who remembers it tells each one once. */
  readonly mark: (typeof MARKS)[number]
  /** Until the end; negative once it is over. */
  readonly left: Milliseconds
  /** UTC, ISO-8601. */
  readonly validTo: string
  readonly message: string
}

const lifeOf = (certificate: string | X509Certificate): { from: number; to: number; whose: string } => {
  const parsed = typeof certificate === "string" ? new X509Certificate(certificate) : certificate
  return {
    from: Date.parse(parsed.validFrom) + BACKDATE_MS,
    to: Date.parse(parsed.validTo),
    whose: subjectOf(parsed)?.name ?? "the authority",
  }
}

/**
 * The warnings that are due: one for each of 30, 7 and 1 days before the end that has passed, the most urgent last. Marks
 * longer than the certificate's whole life are left out.
 */
export const certificateWarnings = (
  certificate: string | X509Certificate,
  now: number,
): readonly CertificateWarning[] => {
  const { from, to, whose } = lifeOf(certificate)
  const left = milliseconds(to - now)
  const validTo = isoTime(timestamp(to))
  const days = Math.floor(left / DAY)
  const message =
    left < 0
      ? `The certificate of ${whose} expired on ${validTo}.`
      : `The certificate of ${whose} expires ${days === 0 ? "within a day" : days === 1 ? "in a day" : `in ${days} days`}, on ${validTo}.`
  return MARKS.filter((mark) => left <= mark * DAY && to - from > mark * DAY).map((mark) => ({
    mark,
    left,
    validTo,
    message,
  }))
}

/** Whether a participant should ask for a new certificate now. */
export const renewalDue = (certificate: string, now: number): boolean => {
  const { from, to } = lifeOf(certificate)
  return to - now <= Math.min(RENEWAL_MS, (to - from) / 3)
}

/** Whether so much of a certificate's life is left that the authority gives the same one again. */
export const isFresh = (certificate: string, now: number): boolean => {
  const { from, to } = lifeOf(certificate)
  return to - now > (2 * (to - from)) / 3
}

/** Whether a certificate is over. */
export const hasExpired = (certificate: string, now: number): boolean => now > lifeOf(certificate).to

import { canarySection } from "./canary-section.js"
import { inversionSection } from "./inversion-section.js"
import { leaderSection } from "./leader-section.js"
import { membershipSection } from "./membership-section.js"
import { pictureSection } from "./picture-section.js"
import type { SectionBuilder } from "./section.js"

/** What an audit consists of, in this order. */
export const SECTIONS: readonly SectionBuilder[] = [
  inversionSection,
  pictureSection,
  membershipSection,
  canarySection,
  leaderSection,
]

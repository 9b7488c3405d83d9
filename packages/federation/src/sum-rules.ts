import type { PrivateStudy } from "./privacy-plan.js"
import { hidingParties } from "./sum-noise.js"

interface Problem {
  readonly message: string
  readonly remedy: string
}

/** What is wrong with where a study's noise is added and whom it is about, and what to do; or null. */
export const sumProblem = (study: PrivateStudy): Problem | null => {
  const { privacy, training, cohort, protection, insecureSeed } = study
  const problem = (message: string, remedy: string): Problem => ({ message, remedy })
  if (privacy.noise === "local")
    return privacy.unit === "patient"
      ? null
      : problem(
          "Noise in a facility's own steps bounds what one patient does to them, not what the whole facility contributes.",
          "Set privacy.noise to sum, or privacy.unit to patient.",
        )
  if (privacy.mechanism !== "gaussian" || privacy.clipping.type !== "flat")
    return problem(
      "Noise on the sum is Gaussian, on vectors that are clipped as a whole.",
      "Set privacy.mechanism to gaussian and privacy.clipping to flat.",
    )
  if (protection === "plain" && insecureSeed === null)
    return problem(
      "Under plain each update is read with a share of the noise alone, which is less than its facility is charged for.",
      "Choose another protection, or set privacy.noise to local.",
    )
  if (cohort.colluders < 1)
    return problem(
      "Every facility knows its own share of the noise: whoever takes it off a sum finds less than is charged for.",
      "Set cohort.colluders to 1 or more.",
    )
  if (hidingParties(study) < 1)
    return problem(
      `Of a cohort of ${cohort.minCohort} with ${cohort.colluders} colluding, nobody's noise is left.`,
      "Raise cohort.smallest or lower cohort.colluders.",
    )
  if (privacy.sampleRate !== 1)
    return problem(
      "With noise on the sum every patient is in every round: drawing some of them is not accounted for.",
      "Set privacy.sample_rate to 1.",
    )
  if (privacy.unit === "facility") return null
  if (training.steps !== 1 || training.proximalMu !== 0)
    return problem(
      `After ${training.steps} local steps a patient has moved more than its own clipped gradient, which is all that noise on the sum over patients covers.`,
      "Set training.steps to 1 and training.proximal_mu to 0, or privacy.unit to facility.",
    )
  if (!(privacy.patients >= 1 && privacy.mostPatients >= privacy.patients))
    return problem(
      `Sums over patients are divided by ${privacy.patients} for each facility and made for at most ${privacy.mostPatients}.`,
      "Set privacy.patients to how many a facility has on average, and privacy.most_patients to no less; both are public.",
    )
  return null
}

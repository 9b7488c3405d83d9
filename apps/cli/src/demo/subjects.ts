/**
 * What a demo trains on. `simulated`: cardiovascular tables, each facility in its own coding; `synthetic-heart`: the heart
 * schema without its data; `pneumonia`: a network on chest X-rays.
 */
export const SUBJECTS = ["simulated", "heart", "synthetic-heart", "pneumonia"] as const
export type DemoSubject = (typeof SUBJECTS)[number]

/** Whether the rows of a study are made up. */
export const isMadeUp = (subject: DemoSubject): boolean => subject !== "heart" && subject !== "pneumonia"

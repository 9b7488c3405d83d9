import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { makePrivateFolder, readIfThere, writeFileAtomic } from "../store/files.js"

/** Where a participant keeps the roster and study that the authority signed first. */
export const ROSTER_FILE = "roster.signed"

/** Where a participant keeps the rosters that its studies began with, as the authority signed them. */
export interface RosterShelf {
  all(): Promise<readonly Uint8Array[]>
  /** Makes room for a study, by its digest in hexadecimal: what else is kept of it may lie beside its roster. */
  prepare(study: string): Promise<void>
  /** Keeps a study's first roster; later ones change nothing. */
  keep(study: string, signed: Uint8Array): Promise<void>
}

/** Folder of the studies in a participant's data folder; each has the first 16 digits of its digest as its name. */
export const studiesFolder = (dataFolder: string): string => join(dataFolder, "studies")
export const studyFolder = (dataFolder: string, id: string): string =>
  join(studiesFolder(dataFolder), id.slice(0, 16))

/** Rosters in the studies' folders of a data folder. */
export const rosterFolders = (dataFolder: string): RosterShelf => ({
  async all() {
    const folder = studiesFolder(dataFolder)
    await makePrivateFolder(folder)
    const rosters: Uint8Array[] = []
    for (const name of (await readdir(folder)).sort()) {
      const signed = await readIfThere(join(folder, name, ROSTER_FILE))
      if (signed !== null) rosters.push(signed)
    }
    return rosters
  },
  prepare: (study) => makePrivateFolder(studyFolder(dataFolder, study)),
  async keep(study, signed) {
    const path = join(studyFolder(dataFolder, study), ROSTER_FILE)
    if ((await readIfThere(path)) === null) await writeFileAtomic(path, signed)
  },
})

/** Rosters that are kept nowhere beyond this process. */
export const rosterMemory = (): RosterShelf => {
  const kept = new Map<string, Uint8Array>()
  return {
    all: async () => [...kept.values()],
    prepare: async () => undefined,
    async keep(study, signed) {
      if (!kept.has(study)) kept.set(study, signed)
    },
  }
}

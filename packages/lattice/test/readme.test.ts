import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, it } from "vitest"

const FOLDER = fileURLToPath(new URL("..", import.meta.url))
/** Inside the package, so that imports resolve as they do for a reader; git and the compiler pass over it. */
const ROOM = join(FOLDER, "dist", `.examples-${process.pid}`)
afterAll(() => rmSync(ROOM, { recursive: true, force: true }))

const readme = readFileSync(join(FOLDER, "README.md"), "utf8")
const examples = [...readme.matchAll(/^## Example: (.*)\n\n```ts\n([\s\S]*?)^```/gm)]

describe("the examples of the README run", () => {
  it("there are three", () => {
    expect(examples).toHaveLength(3)
  })
  it.each(examples.map(([, title, code]) => ({ title, code })))("$title", async ({ title, code }) => {
    mkdirSync(ROOM, { recursive: true })
    const file = join(ROOM, `${title?.replaceAll(/\W+/g, "-")}.ts`)
    writeFileSync(file, code as string)
    await import(file)
  })
})

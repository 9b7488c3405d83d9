// Behind `npm run test:security`: runs every test that shows a promise of SECURITY.md, and prints promise by promise what
// they say. A test shows a promise if its name, or that of what it is part of, holds the promise's id in brackets.
//
//     npm run test:security              everything
//     npm run test:security -- S3 S6     some promises
//     npm run test:security -- --list    which tests there are; runs none
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const vitest = join(root, "node_modules", "vitest", "vitest.mjs")
const PROMISE = /^\| (S\d+) \| \*\*(.+?)\*\*.* \| (.+?) \|$/gm
const TAG = /\[(S\d+)\]/g
/** How a table of cases in a test names the promise of each case. */
const CASE = /\("(S\d+)", /g

const promises = () =>
  [...readFileSync(join(root, "SECURITY.md"), "utf8").matchAll(PROMISE)].map(([, id, promise, against]) => ({
    id,
    promise,
    against,
  }))

const testFiles = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return testFiles(path)
    return entry.name.endsWith(".test.ts") ? [relative(root, path).split(sep).join("/")] : []
  })

const testFolders = () => [
  join(root, "test"),
  ...["packages", "apps"].flatMap((group) =>
    readdirSync(join(root, group))
      .map((name) => join(root, group, name, "test"))
      .filter((folder) => readdirSync(dirname(folder)).includes("test")),
  ),
]

/** The promises that each test file names. */
const tagged = () => {
  const out = new Map()
  for (const file of testFolders().flatMap(testFiles)) {
    const text = readFileSync(join(root, file), "utf8")
    const ids = [...text.matchAll(TAG), ...(text.includes('"[%s] ') ? text.matchAll(CASE) : [])]
    if (ids.length > 0) out.set(file, new Set(ids.map(([, id]) => id)))
  }
  return out
}

/** What is wrong with the promises and their tests before any is run. */
const mistakes = (all, files) => {
  const known = new Set(all.map(({ id }) => id))
  const named = new Set([...files.values()].flatMap((ids) => [...ids]))
  return [
    ...(all.length === 0 ? ["SECURITY.md makes no promise in the form that this program reads."] : []),
    ...(known.size < all.length ? ["SECURITY.md gives two promises one id."] : []),
    ...all.filter(({ id }) => !named.has(id)).map(({ id }) => `${id} has no test.`),
    ...[...files].flatMap(([file, ids]) =>
      [...ids]
        .filter((id) => !known.has(id))
        .map((id) => `${file} names ${id}, which SECURITY.md does not promise.`),
    ),
  ]
}

const runTests = (files, ids) =>
  new Promise((resolve, reject) => {
    const folder = mkdtempSync(join(tmpdir(), "consilium-security-table-"))
    const report = join(folder, "report.json")
    const args = ["run", ...files, "-t", `\\[(${ids.join("|")})\\]`, "--passWithNoTests"]
    const reporters = ["--reporter=dot", "--reporter=json", `--outputFile.json=${report}`]
    const child = spawn(process.execPath, [vitest, ...args, ...reporters], { cwd: root, stdio: "inherit" })
    child.once("error", reject)
    child.once("exit", (code) => {
      try {
        resolve({ code, results: JSON.parse(readFileSync(report, "utf8")).testResults })
      } catch (error) {
        reject(new Error(`The tests ended with ${code} and left no report: ${error.message}`))
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    })
  })

/** For each promise and file: how many of its tests passed, failed and were skipped. */
const counted = (results, files) => {
  const counts = new Map()
  const at = (id, file) => {
    const key = `${id} ${file}`
    if (!counts.has(key)) counts.set(key, { id, file, passed: 0, failed: 0, skipped: 0 })
    return counts.get(key)
  }
  for (const { name, status, assertionResults } of results) {
    const file = relative(root, name).split(sep).join("/")
    let failed = 0
    for (const { fullName, status: outcome } of assertionResults)
      for (const [, id] of fullName.matchAll(TAG)) {
        if (outcome === "failed") failed += 1
        at(id, file)[outcome === "passed" ? "passed" : outcome === "failed" ? "failed" : "skipped"] += 1
      }
    // what fails before its first test fails for all that it would have shown
    if (status === "failed" && failed === 0) for (const id of files.get(file) ?? []) at(id, file).failed += 1
  }
  return [...counts.values()]
}

const clipped = (text, width) => (text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width))

const resultOf = ({ passed, failed, skipped }) => {
  if (failed > 0) return `FAILED (${failed} of ${passed + failed})`
  return passed > 0 ? `holds (${passed}${skipped > 0 ? `, ${skipped} skipped` : ""})` : "SKIPPED"
}

const print = (all, rows) => {
  const line = (...cells) => console.log(cells.join(" | "))
  line("id ", clipped("promise", 58), clipped("holds against", 34), clipped("test", 52), "result")
  for (const { id, promise, against } of all) {
    const own = rows.filter((row) => row.id === id)
    for (const [i, row] of own.entries())
      line(
        i === 0 ? id.padEnd(3) : "   ",
        clipped(i === 0 ? promise : "", 58),
        clipped(i === 0 ? against : "", 34),
        clipped(row.file, 52),
        row.result,
      )
    if (own.length === 0)
      line(id.padEnd(3), clipped(promise, 58), clipped(against, 34), clipped("none", 52), "NOT SHOWN")
  }
}

const main = async (args) => {
  const every = promises()
  const files = tagged()
  const wrong = mistakes(every, files)
  const wanted = args.filter((arg) => arg !== "--list")
  const unknown = wanted.filter((id) => !every.some((promise) => promise.id === id))
  if (unknown.length > 0) wrong.push(`SECURITY.md does not promise ${unknown.join(", ")}.`)
  for (const mistake of wrong) console.error(mistake)
  if (wrong.length > 0) return 1
  const all = wanted.length === 0 ? every : every.filter(({ id }) => wanted.includes(id))
  const shows = [...files].filter(([, ids]) => all.some(({ id }) => ids.has(id))).map(([file]) => file)
  if (args.includes("--list")) {
    const rows = shows.flatMap((file) => [...files.get(file)].map((id) => ({ id, file, result: "" })))
    print(all, rows)
    return 0
  }
  const { code, results } = await runTests(
    shows,
    all.map(({ id }) => id),
  )
  const counts = counted(results, files)
  console.log("")
  print(
    all,
    counts.map((count) => ({ ...count, result: resultOf(count) })),
  )
  const held = all.filter(({ id }) => {
    const own = counts.filter((count) => count.id === id)
    return own.some(({ passed }) => passed > 0) && own.every(({ failed }) => failed === 0)
  })
  console.log(`\n${held.length} of ${all.length} promises hold.`)
  return held.length === all.length && code === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))

// The bootstrap behind `npm run demo` and `demo:inference`, `npm run example`, `npm test` and its kin, and `npm run build`: from a fresh clone to a running program with nothing but Node.js and npm. Only built-in modules, and nothing newer than
// ES2019, so that an old Node reaches the sentence that says it is old.
// biome-ignore-all lint/style/useNodejsImportProtocol: an old Node does not know the prefix
import { readdirSync } from "fs"
import { dirname, join } from "path"
import { fileURLToPath } from "url"
import { nodeProblem } from "../apps/cli/bin/node-version.js"
import { buildWhenStale, explain, say } from "./build.mjs"
import { runChild } from "./child.mjs"
import { installWhenStale } from "./install.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const vitest = join(root, "node_modules", "vitest", "vitest.mjs")

/** Each command's program and arguments; none for `build`, which is done when the build is. */
const COMMANDS = {
  demo: [join(root, "apps", "cli", "bin", "consilium.js"), "demo"],
  "demo:inference": [join(root, "apps", "cli", "bin", "consilium.js"), "infer", "demo"],
  test: [vitest, "run", "--project", "fast"],
  "test:slow": [vitest, "run", "--project", "slow"],
  "test:security": [join(root, "scripts", "security-table.mjs")],
  build: null,
}

/** The folders of examples: `npm run example -- NAME` runs the main file of one. */
const EXAMPLES = join(root, "examples")
const exampleOf = (name) => {
  const names = readdirSync(EXAMPLES).sort()
  if (names.includes(name)) return [join(EXAMPLES, name, "main.mjs")]
  say(
    `${name === undefined ? "No example was named" : `"${name}" is no example`}.\n` +
      `  usage: npm run example -- ${names.join("|")}`,
  )
  return null
}

const run = async (name, args) => {
  const problem = nodeProblem(process.versions.node)
  if (problem !== null) {
    say(problem)
    return 1
  }
  const example = name === "example" ? exampleOf(args[0]) : undefined
  if (example === null) return 2
  if (example === undefined && !Object.keys(COMMANDS).includes(name)) {
    say(
      `${name === undefined ? "No command was given" : `"${name}" is no command`}.\n` +
        `  usage: node scripts/run.mjs ${Object.keys(COMMANDS).join("|")}|example [arguments]`,
    )
    return 2
  }
  for (const prepare of [installWhenStale, buildWhenStale]) {
    const code = await prepare(root)
    if (code !== 0) return code
  }
  const program = example || COMMANDS[name]
  if (program === null) return 0
  return runChild(process.execPath, program.concat(example ? args.slice(1) : args), {
    // the tests belong to this tree wherever the command is given; demos read and write where their user stands
    cwd: name.startsWith("demo") ? process.cwd() : root,
    stdio: "inherit",
  })
}

run(process.argv[2], process.argv.slice(3)).then(
  (code) => {
    process.exitCode = code
  },
  (error) => {
    say(explain(error))
    process.exitCode = 1
  },
)

import { measureScale, type ScaleRequest } from "./scale-run.js"

// a process for each measurement: its memory and its compiled code are its own
const result = await measureScale(JSON.parse(process.argv[2] ?? "{}") as ScaleRequest)
process.stdout.write(JSON.stringify(result))

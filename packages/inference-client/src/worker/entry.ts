import { serveKeys } from "./key-service.js"
import type { MessageEnd } from "./messages.js"

// the script of the worker itself: `new Worker(new URL(...), { type: "module" })` on the page
serveKeys(globalThis as unknown as MessageEnd)

import { availableParallelism } from "node:os"
import type { Command } from "commander"
import { repeated, whole } from "./infer-options.js"
import { format } from "./printed.js"

/** `consilium infer serve`. */
export const inferServeCommand = (infer: Command): void => {
  infer
    .command("serve")
    .description(
      "answer encrypted patients with compiled models; a model that is compiled anew replaces the old one",
    )
    .requiredOption("--models <dir>", "a folder that `infer compile` wrote, or a folder of such")
    .option(
      "--keys <[name=]dir>",
      "public keys that `infer keys` wrote, of askers on this machine or of the holder of a token (may be repeated)",
      repeated,
      [],
    )
    .option("--state <dir>", "where keys and budgets of askers are remembered (default: asking, in --models)")
    .option("--host <address>", "where to listen; beyond this machine only with TLS", "127.0.0.1")
    .option(
      "--port <n>",
      "port; 0 takes any that is free (default: 8001, or any that is free)",
      whole(0, 65_535),
    )
    .option("--tls-key <file>", "PEM file of the listener's key")
    .option("--tls-cert <file>", "PEM file of the listener's certificates")
    .option(
      "--tokens <file>",
      "YAML list of tokens as in leader.yaml: name, role (clinician), sha256, expires",
    )
    .option("--allow-origin <origin>", "a page of this origin may ask (may be repeated)", repeated, [])
    .option(
      "--page-server <origin>",
      "the page of this server may ask the server there too, which must allow it (may be repeated)",
      repeated,
      [],
    )
    .option(
      "--answers <n>",
      "answers of one model that one asker may have (default: as many as do not determine a kept model; any number of a shared one)",
      whole(1, Number.MAX_SAFE_INTEGER),
    )
    .option("--requests-per-second <n>", "requests that one asker may send", whole(1, 1_000_000), 100)
    .option(
      "--threads <n>",
      "threads for networks; linear models need none",
      whole(1, 64),
      Math.max(1, availableParallelism() - 1),
    )
    .option("--with-parent", "end when standard input closes")
    .addOption(format())
    .addHelpText("after", "\nExample:\n  consilium infer serve --models compiled --port 8443")
    .action(async (options) => (await import("../infer/serve.js")).serve(options))
}

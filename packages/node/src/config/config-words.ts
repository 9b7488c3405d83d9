import type { ConfigKind } from "./kinds.js"
export const CONFIG_WORDS: Readonly<
  Record<ConfigKind, { readonly about: string; readonly keys: Readonly<Record<string, string>> }>
> = {
  study: { about: "", keys: {} },
  privacy_config: { about: "", keys: {} },
  facility: { about: "", keys: {} },
  fog: { about: "", keys: {} },
  leader: { about: "", keys: {} },
  authority: { about: "", keys: {} },
}

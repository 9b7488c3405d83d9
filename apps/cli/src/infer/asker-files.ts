/** What an asker keeps in a folder: public but for the last. */
export const ASKER_FILES = { context: "context.json", key: "public.key", secret: "secret.key" } as const

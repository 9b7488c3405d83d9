/** The place of a word in the glossary, as an address within the page. */
export const glossaryId = (word: string): string =>
  `word-${word
    .toLowerCase()
    .replace(/[^a-z]+/g, "-")
    .replace(/-$/, "")}`

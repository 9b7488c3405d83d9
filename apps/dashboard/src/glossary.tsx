import { glossaryId } from "./glossary-id.js"
import { Panel } from "./notices.js"
import type { GlossaryEntry } from "./words.js"

export const Glossary = ({ entries }: { readonly entries: readonly GlossaryEntry[] }) => (
  <Panel id="glossary" title="What the words mean" wide>
    <dl className="glossary">
      {entries.map(({ word, means }) => (
        <div key={word} id={glossaryId(word)} tabIndex={-1}>
          <dt>{word}</dt>
          <dd>{means}</dd>
        </div>
      ))}
    </dl>
  </Panel>
)

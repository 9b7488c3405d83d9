import { type SyntheticEvent, useState } from "react"
import { Panel } from "../notices.js"

interface TokenFormProps {
  /** Whether a token was given and is not taken. */
  readonly refused: boolean
  readonly onToken: (token: string) => void
}

/** Asks for the token that the server's operator issued. It stays in this page's memory. */
export const TokenForm = ({ refused, onToken }: TokenFormProps) => {
  const [text, setText] = useState("")
  const onSubmit = (event: SyntheticEvent): void => {
    event.preventDefault()
    const token = text.trim()
    setText("")
    if (token !== "") onToken(token)
  }
  return (
    <Panel
      id="token"
      title="Who are you?"
      about="The server wants to know who asks. Give the token that its operator issued to you. It stays in the memory of this page only: it is stored nowhere, and gone when you close the tab."
    >
      <form className="token-form" onSubmit={onSubmit} autoComplete="off">
        <label htmlFor="token-text">Token</label>
        <input
          id="token-text"
          type="password"
          autoComplete="off"
          spellCheck={false}
          value={text}
          aria-invalid={refused}
          aria-describedby={refused ? "token-problem" : undefined}
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit">Use this token</button>
        {refused && (
          <p id="token-problem" className="field-problem" role="alert">
            The server does not take this token: it is unknown, has expired, or does not give the right to
            ask.
          </p>
        )}
      </form>
    </Panel>
  )
}

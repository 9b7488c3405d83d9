import { type ChangeEvent, useEffect, useRef, useState } from "react"
import { countText, durationText, plural } from "../format.js"
import { Notice, Panel, Scrolling } from "../notices.js"
import {
  emptyTable,
  MOST_CHARACTERS,
  type PatientTable,
  readPatientTable,
  resultsTable,
} from "./patient-table.js"
import { saveFile } from "./save-file.js"
import type { Asked, Session } from "./session.js"
import { Trouble } from "./trouble.js"
import type { Asking } from "./use-asker.js"

const SHOWN_PROBLEMS = 50

type FileState =
  | { readonly state: "none" | "reading" }
  | { readonly state: "unreadable"; readonly why: string }
  | { readonly state: "read"; readonly table: PatientTable }
  | { readonly state: "asking"; readonly table: PatientTable; readonly done: number }
  | { readonly state: "failed"; readonly table: PatientTable; readonly error: unknown }
  | { readonly state: "answered"; readonly table: PatientTable; readonly asked: Asked }

const Problems = ({ problems }: Pick<PatientTable, "problems">) => (
  <Scrolling label="Rows with problems">
    <table className="problems">
      <caption>
        {plural(problems.length, "row")} cannot be asked about and will be left out
        {problems.length > SHOWN_PROBLEMS &&
          `; the first ${SHOWN_PROBLEMS} are shown, all are in the results`}
        .
      </caption>
      <thead>
        <tr>
          <th scope="col" className="number">
            Line
          </th>
          <th scope="col">What is wrong</th>
        </tr>
      </thead>
      <tbody>
        {problems.slice(0, SHOWN_PROBLEMS).map(({ line, problem }) => (
          <tr key={line}>
            <td className="number">{countText(line)}</td>
            <td>{problem}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolling>
)

interface FilePanelProps {
  readonly asking: Asking
  readonly session: Session
  /** Why nothing can be asked now; null if it can. */
  readonly waiting: string | null
  readonly onAsked: () => void
}

/** Many patients from a file, read and encrypted here. */
export const FilePanel = ({ asking, session, waiting, onAsked }: FilePanelProps) => {
  const [file, setFile] = useState<FileState>({ state: "none" })
  const ending = useRef(new AbortController())
  const { schema } = asking.plan
  useEffect(() => () => ending.current.abort(), [])

  const choose = async (event: ChangeEvent<HTMLInputElement>): Promise<void> => {
    const [chosen] = event.target.files ?? []
    ending.current.abort()
    if (chosen === undefined) return setFile({ state: "none" })
    setFile({ state: "reading" })
    try {
      // four bytes a character at most
      if (chosen.size > 4 * MOST_CHARACTERS) throw new SyntaxError("The file is too large: divide it.")
      setFile({ state: "read", table: readPatientTable(schema, await chosen.text()) })
    } catch (error) {
      const why = error instanceof SyntaxError ? error.message : "The file cannot be read."
      setFile({ state: "unreadable", why })
    }
  }
  const ask = async (table: PatientTable): Promise<void> => {
    const stop = new AbortController()
    ending.current = stop
    setFile({ state: "asking", table, done: 0 })
    try {
      const asked = await session.askAll(
        asking,
        table.patients.map(({ patient }) => patient),
        {
          signal: stop.signal,
          onProgress: (done) => {
            if (!stop.signal.aborted) setFile({ state: "asking", table, done })
          },
        },
      )
      if (!stop.signal.aborted) setFile({ state: "answered", table, asked })
      onAsked()
    } catch (error) {
      if (!stop.signal.aborted) setFile({ state: "failed", table, error })
    }
  }
  const stop = (table: PatientTable): void => {
    ending.current.abort()
    setFile({ state: "read", table })
  }
  const table = "table" in file ? file.table : null
  const patients = table?.patients.length ?? 0

  return (
    <Panel
      id="file"
      title="Many patients from a file"
      about="A table in CSV: the first line names the columns, then one line for each patient. It is read and encrypted here; columns that the model does not ask for never leave your browser and come back beside the results."
    >
      <div className="file-choice">
        <label htmlFor="file-input">Table of patients</label>
        <input
          id="file-input"
          type="file"
          accept=".csv,.tsv,.txt,text/csv"
          onChange={(event) => void choose(event)}
        />
        <button type="button" onClick={() => saveFile("patients.csv", emptyTable(schema))}>
          Save an empty table
        </button>
      </div>
      {file.state === "unreadable" && (
        <Notice kind="error" title="This file cannot be used">
          <p>{file.why}</p>
        </Notice>
      )}
      {table !== null && (
        <>
          <p>
            {plural(patients, "patient")} can be asked about
            {table.problems.length > 0 && `, ${plural(table.problems.length, "row")} cannot`}.
            {table.beside.length > 0 && <span className="exact"> Not sent: {table.beside.join(", ")}.</span>}
          </p>
          {table.problems.length > 0 && <Problems problems={table.problems} />}
        </>
      )}
      <div role="status" className="file-state">
        {file.state === "reading" && <p>Reading …</p>}
        {file.state === "asking" && (
          <p className="progress">
            <progress max={patients} value={file.done} aria-label="Patients answered" />
            {countText(file.done)} of {plural(patients, "patient")} answered
          </p>
        )}
        {file.state === "answered" && (
          <p data-batch={file.asked.id}>
            {plural(patients, "patient")} answered in {durationText(file.asked.milliseconds)}.
          </p>
        )}
      </div>
      {file.state === "failed" && (
        <Trouble error={file.error} title="The file was not answered" onRetry={() => void ask(file.table)} />
      )}
      {table !== null && patients > 0 && (
        <p className="form-end">
          {file.state === "asking" ? (
            <button type="button" onClick={() => stop(table)}>
              Stop
            </button>
          ) : (
            <button
              type="button"
              className={file.state === "answered" ? undefined : "primary"}
              aria-disabled={waiting !== null}
              onClick={() => waiting === null && void ask(table)}
            >
              Encrypt and ask about {plural(patients, "patient")}
            </button>
          )}
          {file.state === "answered" && (
            <button
              type="button"
              className="primary"
              onClick={() =>
                saveFile(
                  "risks.csv",
                  resultsTable(
                    file.table,
                    file.asked.risks.map(({ rounded }) => rounded),
                  ),
                )
              }
            >
              Save the results
            </button>
          )}
        </p>
      )}
    </Panel>
  )
}

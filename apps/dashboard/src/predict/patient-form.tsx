import type { InputField, InputSchema } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"
import { type SyntheticEvent, useId, useRef, useState } from "react"
import { plural } from "../format.js"
import { acceptedText, type Entries, fieldRemark, fieldTitle, readEntries } from "./patient-text.js"

/** A unit of so many letters stands beside its entry as well, longer ones below it only. */
const SHORT_UNIT = 8

interface FieldProps {
  readonly field: InputField
  readonly id: string
  readonly entry: string
  readonly problem: string | undefined
  readonly onEntry: (entry: string) => void
}

/** One question. No value gets a name by which a browser would remember it. */
const Field = ({ field, id, entry, problem, onEntry }: FieldProps) => {
  const about = `${id}-about`
  const wrong = `${id}-wrong`
  const shared = {
    id,
    "aria-invalid": problem !== undefined,
    "aria-describedby": [
      about,
      ...(fieldRemark(field) === "" ? [] : [`${id}-remark`]),
      ...(problem === undefined ? [] : [wrong]),
    ].join(" "),
    value: entry,
    onChange: (event: { readonly target: { readonly value: string } }) => onEntry(event.target.value),
  }
  return (
    <div className="field">
      <label htmlFor={id}>
        {fieldTitle(field)} {field.label !== undefined && <code className="exact">{field.name}</code>}
      </label>
      {field.type === "number" ? (
        <span className="with-unit">
          <input {...shared} type="text" inputMode="decimal" autoComplete="off" spellCheck={false} />
          {field.unit.length <= SHORT_UNIT && <span className="unit">{field.unit}</span>}
        </span>
      ) : (
        <select {...shared} autoComplete="off">
          <option value="">choose …</option>
          {(field.type === "boolean" ? ["yes", "no"] : field.categories.map(({ name }) => name)).map(
            (name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ),
          )}
        </select>
      )}
      <span className="field-notes">
        <span id={about} className="exact">
          {field.type === "number" && acceptedText(field)}
        </span>
        {fieldRemark(field) !== "" && (
          <span id={`${id}-remark`} className="exact">
            {fieldRemark(field)}
          </span>
        )}
        {problem !== undefined && (
          <span id={wrong} className="field-problem">
            “{fieldTitle(field)}” {problem}.
          </span>
        )}
      </span>
    </div>
  )
}

interface FormProps {
  readonly schema: InputSchema
  /** Why nothing can be asked now; null if it can. */
  readonly waiting: string | null
  readonly onAsk: (patient: Patient) => void
  /** What was written was changed or cleared. */
  readonly onChange: () => void
}

/** A patient's values, asked for as the model's plan declares them, and checked before anything is encrypted. */
export const PatientForm = ({ schema, waiting, onAsk, onChange }: FormProps) => {
  const id = useId()
  const form = useRef<HTMLFormElement>(null)
  const [entries, setEntries] = useState<Entries>({})
  const [problems, setProblems] = useState<ReadonlyMap<string, string>>(new Map())
  const fieldId = (name: string): string => `${id}-${schema.fields.findIndex((field) => field.name === name)}`
  const change = (name: string, entry: string): void => {
    setEntries((before) => ({ ...before, [name]: entry }))
    setProblems((before) => new Map([...before].filter(([field]) => field !== name)))
    onChange()
  }
  const clear = (): void => {
    setEntries({})
    setProblems(new Map())
    onChange()
  }
  const onSubmit = (event: SyntheticEvent): void => {
    event.preventDefault()
    if (waiting !== null) return
    const reading = readEntries(schema, entries)
    if ("patient" in reading) {
      setProblems(new Map())
      onAsk(reading.patient)
      return
    }
    setProblems(reading.problems)
    const [first] = reading.problems.keys()
    if (first !== undefined) document.getElementById(fieldId(first))?.focus()
  }
  return (
    <form ref={form} className="patient-form" onSubmit={onSubmit} noValidate autoComplete="off">
      <div className="fields">
        {schema.fields.map((field) => (
          <Field
            key={field.name}
            field={field}
            id={fieldId(field.name)}
            entry={entries[field.name] ?? ""}
            problem={problems.get(field.name)}
            onEntry={(entry) => change(field.name, entry)}
          />
        ))}
      </div>
      <div className="form-end">
        <button type="submit" className="primary" aria-disabled={waiting !== null}>
          Encrypt and ask
        </button>
        <button type="button" onClick={clear}>
          Clear the form
        </button>
        <span role="status">
          {problems.size > 0
            ? `${plural(problems.size, "field")} to mend; nothing was sent.`
            : (waiting ?? "")}
        </span>
      </div>
    </form>
  )
}

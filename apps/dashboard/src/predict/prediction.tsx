import type { Patient } from "@consilium/inference/schema/patient"
import { useEffect, useRef, useState } from "react"
import { Panel } from "../notices.js"
import { FilePanel } from "./file-panel.js"
import { History } from "./history.js"
import { PatientForm } from "./patient-form.js"
import { Result } from "./result.js"
import type { Asked, Session, SessionState } from "./session.js"
import { Trouble } from "./trouble.js"
import type { Asker, Asking } from "./use-asker.js"

interface PredictionProps {
  readonly asker: Asker
  readonly asking: Asking
  readonly session: Session
  readonly state: SessionState
  /** Whether the server answered when it was last asked for its models. */
  readonly connected: boolean
}

/** The form, its answer, and files of patients. */
export const Prediction = ({ asker, asking, session, state, connected }: PredictionProps) => {
  const [asked, setAsked] = useState<Asked | null>(null)
  const [changed, setChanged] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const mounted = useRef(true)
  useEffect(() => {
    mounted.current = true
    return () => {
      mounted.current = false
    }
  }, [])
  const waiting = busy
    ? "Asking …"
    : !asking.prepared
      ? "Making keys …"
      : connected
        ? null
        : "The server cannot be reached; what you wrote stays here."

  const ask = async (patient: Patient): Promise<void> => {
    setBusy(true)
    setError(null)
    try {
      const answer = await session.ask(asking, patient)
      if (!mounted.current) return
      setAsked(answer)
      setChanged(false)
      asker.refresh()
    } catch (failure) {
      if (mounted.current) setError(failure)
    } finally {
      if (mounted.current) setBusy(false)
    }
  }
  const forgotten = asked !== null && !state.asked.includes(asked)

  return (
    <div className="panels">
      <Panel
        id="patient"
        title="The patient"
        about="Every value is needed. They are encrypted here, in your browser, and the server computes with them without reading them."
      >
        <PatientForm
          schema={asking.plan.schema}
          waiting={waiting}
          onAsk={(patient) => void ask(patient)}
          onChange={() => setChanged(true)}
        />
      </Panel>
      <div className="stack">
        <Panel id="answer" title="The answer">
          {error !== null && <Trouble error={error} title="No answer came" />}
          <Result
            asked={forgotten ? null : asked}
            asking={asking}
            changed={changed}
            failed={error !== null}
          />
        </Panel>
        <FilePanel asking={asking} session={session} waiting={waiting} onAsked={asker.refresh} />
      </div>
      <History asked={state.asked} session={session} />
    </div>
  )
}

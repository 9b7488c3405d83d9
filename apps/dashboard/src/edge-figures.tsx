import type { StudyView } from "@consilium/node/api/study-view"
import { countText, inNameOrder } from "./format.js"
import { Scrolling } from "./notices.js"

const known = (bytes: number): string => (bytes === 0 ? "–" : countText(bytes))

/** All that is known of what crossed each edge. */
export const EdgeFigures = ({ view }: { readonly view: StudyView }) => (
  <details>
    <summary>All figures: what crossed each connection</summary>
    <p className="exact">
      In bytes, counted from what the leader's log holds: every figure is the least that it was. What
      facilities handed to each other through their fog is counted per fog, in the second part. A dash means
      that nothing is known.
    </p>
    <Scrolling label="What crossed each connection">
      <table className="edge-figures">
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">To</th>
            <th scope="col" className="number">
              Updates
            </th>
            <th scope="col" className="number">
              Sealed pieces
            </th>
            <th scope="col" className="number">
              Openings
            </th>
            <th scope="col" className="number">
              Everything else
            </th>
            <th scope="col">What it carries</th>
          </tr>
        </thead>
        <tbody>
          {[...view.edges]
            .sort((a, b) => inNameOrder(a.from, b.from))
            .map(({ from, to, carries, bytes }) => (
              <tr key={from}>
                <th scope="row">{from}</th>
                <td>{to}</td>
                <td className="number">{known(bytes.update)}</td>
                <td className="number">{known(bytes.relayed)}</td>
                <td className="number">{known(bytes.opening)}</td>
                <td className="number">{known(bytes.metadata)}</td>
                <td>{carries.join(", ")}</td>
              </tr>
            ))}
        </tbody>
        <tbody>
          {[...view.regions]
            .sort((a, b) => inNameOrder(a.fog, b.fog))
            .map(({ fog, facilities, bytes }) => (
              <tr key={fog}>
                <th scope="row">{[...facilities].sort(inNameOrder).join(", ") || "no facility"}</th>
                <td>{fog}</td>
                <td className="number">{known(bytes.update)}</td>
                <td className="number">{known(bytes.relayed)}</td>
                <td className="number">{known(bytes.opening)}</td>
                <td className="number">{known(bytes.metadata)}</td>
                <td>all that the fog received, as it counts</td>
              </tr>
            ))}
        </tbody>
      </table>
    </Scrolling>
  </details>
)

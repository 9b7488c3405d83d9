/** One curve of a plot: means with their standard errors, at the same places as the other curves. */
export interface Curve {
  readonly name: string
  readonly colour: string
  readonly means: readonly number[]
  readonly errors: readonly number[]
}

const WIDTH = 640
const HEIGHT = 400
const MARGIN = { left: 64, right: 24, top: 40, bottom: 56 }

const text = (x: number, y: number, says: string, anchor = "middle"): string =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${says}</text>`

/** A drawing of curves over named places, with error bars of two standard errors each way. */
export const utilityPlot = (title: string, places: readonly string[], curves: readonly Curve[]): string => {
  const all = curves.flatMap(({ means, errors }) =>
    means.flatMap((mean, i) => [mean - 2 * (errors[i] ?? 0), mean + 2 * (errors[i] ?? 0)]),
  )
  const low = Math.floor(Math.min(...all) * 50) / 50
  const high = Math.ceil(Math.max(...all) * 50) / 50
  const x = (i: number): number =>
    MARGIN.left + ((i + 0.5) * (WIDTH - MARGIN.left - MARGIN.right)) / places.length
  const y = (value: number): number =>
    HEIGHT - MARGIN.bottom - ((value - low) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom)
  const ticks = Array.from({ length: Math.round((high - low) / 0.02) + 1 }, (_, i) => low + i * 0.02)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13" role="img" aria-label="${title}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(WIDTH / 2, 22, title),
    ...ticks.flatMap((tick) => [
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(tick)}" y2="${y(tick)}" stroke="#ddd"/>`,
      text(MARGIN.left - 8, y(tick) + 4, tick.toFixed(2), "end"),
    ]),
    ...places.map((place, i) => text(x(i), HEIGHT - MARGIN.bottom + 20, place)),
    text(WIDTH / 2, HEIGHT - 12, "epsilon of each facility"),
    ...curves.flatMap(({ name, colour, means, errors }, c) => [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${means.map((mean, i) => `${x(i).toFixed(1)},${y(mean).toFixed(1)}`).join(" ")}"/>`,
      ...means.map((mean, i) => {
        const reach = 2 * (errors[i] ?? 0)
        return `<line x1="${x(i).toFixed(1)}" x2="${x(i).toFixed(1)}" y1="${y(mean - reach).toFixed(1)}" y2="${y(mean + reach).toFixed(1)}" stroke="${colour}"/>`
      }),
      `<rect x="${MARGIN.left + 12}" y="${HEIGHT - MARGIN.bottom - 40 + 18 * c}" width="12" height="3" fill="${colour}"/>`,
      text(MARGIN.left + 30, HEIGHT - MARGIN.bottom - 35 + 18 * c, name, "start"),
    ]),
    "</svg>",
    "",
  ].join("\n")
}

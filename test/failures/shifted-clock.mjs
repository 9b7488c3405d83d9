// Loaded before a program (node --import), it moves the program's clock by CLOCK_SHIFT milliseconds.

const shift = Number(process.env.CLOCK_SHIFT)
const True = Date
const now = () => True.now() + shift

globalThis.Date = new Proxy(True, {
  construct: (target, given, made) => Reflect.construct(target, given.length === 0 ? [now()] : given, made),
  apply: () => new True(now()).toString(),
  get: (target, key) => (key === "now" ? now : Reflect.get(target, key)),
})

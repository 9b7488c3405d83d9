import { type RefObject, useLayoutEffect, useRef, useState } from "react"

/** An element's width in pixels, kept up to date; 0 before the first drawing. */
export const useWidth = <T extends HTMLElement>(): readonly [RefObject<T | null>, number] => {
  const element = useRef<T | null>(null)
  const [width, setWidth] = useState(0)
  useLayoutEffect(() => {
    const watched = element.current
    if (watched === null) return
    const measure = (): void => setWidth(Math.floor(watched.clientWidth))
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(watched)
    return () => observer.disconnect()
  }, [])
  return [element, width]
}

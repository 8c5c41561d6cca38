/** Does something now, and again after each pause; what fails is left to the next time. */
import type { Outside } from './outside.ts'

/** @returns ends it; resolves when nothing of it is under way */
export function repeat(
  timers: Outside['timers'],
  pauseMs: number,
  work: () => Promise<void>,
): () => Promise<void> {
  let timer: { cancel(): void } | undefined
  let isOver = false
  let underWay: Promise<void> = Promise.resolve()
  const once = async (): Promise<void> => {
    try {
      await work()
    } catch {
      // The store or the database is away: those who need them find out, and say why.
    }
    if (!isOver) timer = timers.after(pauseMs, begin)
  }
  const begin = (): void => {
    underWay = once()
  }
  begin()
  return () => {
    isOver = true
    timer?.cancel()
    return underWay
  }
}

// Waiting in tests: always for a condition, always with a deadline that says what did not happen.

/** Resolves after `ms`. */
export const sleep = (ms: number): Promise<void> => new Promise(done => setTimeout(done, ms))

/** Polls until `condition` gives something other than undefined, null or false. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 60_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== null && value !== false) return value
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await sleep(20)
  }
}

/** Runs tasks side by side; the first that fails ends the others, and is thrown when all have ended. */
export async function sideBySide(
  signal: AbortSignal,
  tasks: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  let failure: { readonly error: unknown } | undefined
  const run = async (task: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    try {
      await task(either)
    } catch (error) {
      failure ??= { error }
      stop.abort()
    }
  }
  await Promise.all(tasks.map(run))
  if (failure !== undefined) throw failure.error
}

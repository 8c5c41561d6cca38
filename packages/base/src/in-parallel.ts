/**
 * Works on all items, so many at once, in their order. After a failure no further one is begun; it is
 * thrown when those under way are done, so that nothing goes on behind the back of who was told.
 */
export async function inParallel<T>(
  items: readonly T[],
  parallel: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  let failure: { readonly error: unknown } | undefined
  const worker = async (): Promise<void> => {
    while (next < items.length && failure === undefined) {
      const item = items[next] as T
      next += 1
      try {
        await work(item)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker))
  if (failure !== undefined) throw (failure as { readonly error: unknown }).error
}

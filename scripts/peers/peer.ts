// What every peer looks like to the scripts and tests: it is fetched once, and then is there with
// a version or is not there with a reason.

/** The outcome of fetching one peer. */
export type Peer =
  | { readonly name: string; readonly available: true; readonly version: string }
  | { readonly name: string; readonly available: false; readonly reason: string }

/** Turns a fetch that may throw into an outcome: a peer that cannot be had is a reason, not a crash. */
export async function attempt(name: string, fetch: () => Promise<string>): Promise<Peer> {
  try {
    return { name, available: true, version: await fetch() }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return { name, available: false, reason: text.trim().slice(0, 1500) }
  }
}

/**
 * HOST:PORT as it is typed, and whether a host can only be reached from this machine. Brackets are
 * for IPv6: `[::1]:9092`.
 */

/** A parsed address. */
export type Address = { readonly host: string; readonly port: number }

/** Reads HOST:PORT. Throws RangeError with what is wrong; `what` names the setting. */
export function parseAddress(text: string, what: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) {
    throw new RangeError(`${what} must be HOST:PORT with a port from 0 to 65535, not "${text}"`)
  }
  return { host, port }
}

/** The address as text, with brackets around IPv6. */
export function formatAddress(address: Address): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${host}:${address.port}`
}

/** Whether only this machine can reach `host`. Names other than localhost count as reachable. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

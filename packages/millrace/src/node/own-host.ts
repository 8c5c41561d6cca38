/**
 * Whether a request asks for this node by a name that is its own: an address, localhost, or what the
 * operator lists. Any other name may be one that was made to resolve to this machine, so that a web
 * page can read what is answered (DNS rebinding).
 */

const ADDRESS_OR_LOCALHOST = /^(localhost|\d{1,3}(\.\d{1,3}){3}|\[[\da-f:.]+\])$/i
const ANY = '*'

/** @param host the header as it came, with or without a port */
export function isOwnHost(host: string | undefined, names: readonly string[]): boolean {
  if (host === undefined) return false
  const name = host.replace(/:\d{1,5}$/, '')
  if (ADDRESS_OR_LOCALHOST.test(name)) return true
  return names.some(own => own === ANY || own.toLowerCase() === name.toLowerCase())
}

/** The names of a setting: `a.example, b.example`. */
export function hostsOf(text: string): readonly string[] {
  return text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}

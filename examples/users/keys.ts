/**
 * The master key, which seals the keys of users: a file of its own, made with the first start. It is
 * not in the data folder, so that who has a backup of the data cannot read names with it. A service
 * would take `environmentKeys`, or a key management service behind the same two functions.
 */
import { existsSync } from 'node:fs'
import { createKeyFile, fileKeys, type KeyProvider } from 'millrace'

/** Keys in `path`; the file is made when it is needed and not there. */
export function ownKeys(path: string): KeyProvider {
  const keys = fileKeys(path)
  const made = async (): Promise<void> => {
    if (!existsSync(path)) await createKeyFile(path, 'first')
  }
  return {
    currentId: async () => {
      await made()
      return keys.currentId()
    },
    key: id => (existsSync(path) ? keys.key(id) : Promise.resolve(undefined)),
  }
}

/**
 * A record as the commands print it, and its JSON form: keys, values and header values as text
 * where they are UTF-8, else as base64 under a name that says so.
 */
import { isUtf8 } from 'node:buffer'

/** A consumed record. */
export type RecordView = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Ms since the epoch; -1 where there is none. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly { readonly key: string; readonly value: Buffer | null }[]
}

/** One line of JSON without its line end. */
export function recordJson(record: RecordView): string {
  return JSON.stringify({
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp,
    ...bytesJson('key', record.key),
    ...bytesJson('value', record.value),
    ...(record.headers.length === 0 ? {} : { headers: headersJson(record) }),
  })
}

/** Headers in their order, repeated names included. */
export function headersJson(record: RecordView): readonly Readonly<Record<string, unknown>>[] {
  return record.headers.map(({ key, value }) => ({ key, ...bytesJson('value', value) }))
}

function bytesJson(name: string, value: Buffer | null): Readonly<Record<string, string | null>> {
  if (value === null) return { [name]: null }
  return isUtf8(value)
    ? { [name]: value.toString() }
    : { [`${name}Base64`]: value.toString('base64') }
}

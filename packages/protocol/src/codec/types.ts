/**
 * The TypeScript side of the grammar: how the interfaces of `messages/` relate to bytes.
 *
 * | grammar                | TypeScript                                                        |
 * | ---------------------- | ----------------------------------------------------------------- |
 * | bool                   | boolean                                                           |
 * | i8 i16 u16 i32 i64     | number; an i64 beyond 2^53 - 1 is read as 2^53 - 1 of its sign    |
 * | str                    | string; invalid UTF-8 is read with U+FFFD in its place            |
 * | uuid                   | string of 22 characters, base64url; {@link ZERO_UUID} is "none"   |
 * | bytes                  | Buffer, on decode a view into the frame                           |
 * | records                | {@link Records} to encode; Buffer, a view, on decode              |
 * | []T, {...}             | readonly array, interface                                         |
 * | ?                      | `\| null`                                                         |
 * | [versions], =x, <tag>  | optional to encode: absent means the default; always there decoded |
 */

/** A tagged field that the grammar does not name: kept when decoded, sent again when encoded. */
export type UnknownTag = { readonly tag: number; readonly data: Buffer }

/** What every struct may carry besides the fields of its grammar (KIP-482). */
export interface Tagged {
  readonly unknownTags?: readonly UnknownTag[]
}

/**
 * Bytes that are elsewhere, such as a range of a file: the encoder counts them and puts the object
 * itself between the pieces of the frame; whoever writes the frame fetches the bytes.
 */
export interface External {
  readonly byteLength: number
}

/** The value of a `records` field that is to be encoded: concatenated record batches. */
export type Records = Buffer | External | null

/** A frame ready to be written: its pieces in order, size prefix included. */
export type Frame = {
  readonly byteLength: number
  readonly pieces: readonly (Buffer | External)[]
}

/**
 * A message as the decoder returns it: like the interface, but every field is there (those that the
 * version does not have with their default) and `records` are bytes.
 */
export type Decoded<T> = T extends Buffer
  ? T
  : T extends readonly (infer Element)[]
    ? readonly Decoded<Element>[]
    : T extends object
      ? T extends External
        ? never
        : {
            readonly [K in Exclude<keyof T, keyof Tagged>]-?: Decoded<Exclude<T[K], undefined>>
          } & Tagged
      : T

/** The UUID of all zeros: "none". */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'

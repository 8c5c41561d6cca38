/**
 * Text that a terminal only shows. Names and client ids are what others chose: a control character in
 * one could move the cursor, rewrite what was printed before, or type into the shell. Each is shown as
 * JSON writes it, so that a line of JSON stays the same value.
 */

/** Controls of ASCII and of Latin-1, but for tab and line end; and marks that turn text around. */
const CONTROLS = /(?![\t\n])[\p{Cc}\p{Bidi_Control}]/gu

/** The only sequences of the commands' own that go through {@link printable}: bold on and off. */
const STYLES = ['\u001b[1m', '\u001b[22m']

/** The text without control characters; line ends and tabs stay. */
export function printable(text: string): string {
  if (text.search(CONTROLS) < 0) return text
  return text.replaceAll(CONTROLS, (control, at: number) => {
    if (control === '\r' && text[at + 1] === '\n') return control
    if (STYLES.some(style => text.startsWith(style, at))) return control
    return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

// What strangers write, made fit for a line of our log: no new line, no colour, no text that runs
// backwards, and not too much of it.

/** Control and format characters, halves of characters, and what else cannot be seen; line separators. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** What is invisible as `\u{a}`; what is too long ends in an ellipsis. */
export function printable(text: string, maxCharacters = Infinity): string {
  const escaped = text
    .slice(0, maxCharacters + 1) // to escape makes it no shorter
    .replaceAll(INVISIBLE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
  if (escaped.length <= maxCharacters) return escaped;
  return `${escaped.slice(0, maxCharacters - 1)}…`.toWellFormed();
}

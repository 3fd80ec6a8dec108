// Where a list goes on, as an opaque text: base64url of the list's name and the place in it. It
// grants nothing, so it needs no signature; a cursor of another list is refused all the same.

export function encodeCursor(list: string, place: string[]): string {
  return Buffer.from(JSON.stringify([list, ...place])).toString('base64url');
}

/** Undefined if it is not a cursor of this list with `length` parts. */
export function decodeCursor(list: string, length: number, cursor: string): string[] | undefined {
  let decoded: unknown;
  try {
    decoded = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
  if (!Array.isArray(decoded) || decoded.length !== length + 1) return undefined;
  const parts: string[] = decoded.filter((part) => typeof part === 'string');
  const [of, ...place] = parts;
  const isPlain = place.every((part) => !part.includes('\0'));
  return of === list && place.length === length && isPlain ? place : undefined;
}

// A UUID between its 16 bytes and its text. RFC 9562 §4.

/** The 16 bytes at `offset` as text. */
export function formatUuid(bytes: Buffer, offset: number): string {
  const hex = bytes.toString('hex', offset, offset + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Writes the 16 bytes of a UUID. */
export function writeUuid(text: string, bytes: Buffer, offset: number): void {
  bytes.write(text.replaceAll('-', ''), offset, 16, 'hex');
}

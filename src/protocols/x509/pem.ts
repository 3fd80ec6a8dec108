// PEM: DER as text between two lines that name it. RFC 7468.

/** The blocks with this label, in their order. What is between them is explanation. RFC 7468 §2. */
export function blocksFromPem(text: string, label: string): Buffer[] {
  const blocks: Buffer[] = [];
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  for (let start = text.indexOf(begin); start !== -1; start = text.indexOf(begin, start + 1)) {
    const stop = text.indexOf(end, start);
    const body = text.slice(start + begin.length, stop === -1 ? undefined : stop);
    // What is not base64 becomes a block that nobody can parse: better than one left out in silence.
    const isWhole = stop !== -1 && /^[A-Za-z0-9+/=\s]*$/.test(body);
    blocks.push(isWhole ? Buffer.from(body, 'base64') : Buffer.alloc(0));
  }
  return blocks;
}

export function toPem(der: Buffer, label: string): string {
  const text = der.toString('base64');
  let pem = `-----BEGIN ${label}-----\n`;
  for (let start = 0; start < text.length; start += 64) pem += `${text.slice(start, start + 64)}\n`;
  return `${pem}-----END ${label}-----\n`;
}

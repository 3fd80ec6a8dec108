// The randoms of a handshake, read from its plain beginning: Node does not tell them, and the EAP
// Session-Id of TLS 1.2 is made of them. RFC 5216 §2.3, RFC 5246 §7.4.1, RFC 8446 §4.1.3.

/** As many bytes as two hellos may have before we stop looking. */
const MAX_KEPT_BYTES = 32 * 1024;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
/** Behind the version. */
const RANDOM_OFFSET = MESSAGE_HEADER_BYTES + 2;
const RANDOM_BYTES = 32;
const HANDSHAKE_RECORD = 22;
const HELLO = { client: 1, server: 2 } as const;
/** A ServerHello with this random is a HelloRetryRequest: another one follows. RFC 8446 §4.1.3. */
const RETRY = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c';

/** `read` takes all that one side sends, in any portions; `value` is hexadecimal. */
export function readHelloRandom(side: 'client' | 'server') {
  let records = Buffer.alloc(0);
  let messages = Buffer.alloc(0);
  let found: string | undefined;

  function takeRecords() {
    while (records.length >= RECORD_HEADER_BYTES) {
      const end = RECORD_HEADER_BYTES + records.readUInt16BE(3);
      if (records.length < end) return;
      if (records[0] === HANDSHAKE_RECORD) {
        messages = Buffer.concat([messages, records.subarray(RECORD_HEADER_BYTES, end)]);
      }
      records = records.subarray(end);
    }
  }

  function takeMessages() {
    while (found === undefined && messages.length >= RANDOM_OFFSET + RANDOM_BYTES) {
      const end = MESSAGE_HEADER_BYTES + messages.readUIntBE(1, 3);
      const random = messages.toString('hex', RANDOM_OFFSET, RANDOM_OFFSET + RANDOM_BYTES);
      if (messages[0] === HELLO[side] && random !== RETRY) found = random;
      else if (messages.length < end) return;
      else messages = messages.subarray(end);
    }
  }

  return {
    read(bytes: Buffer) {
      if (found !== undefined || records.length + messages.length > MAX_KEPT_BYTES) return;
      records = Buffer.concat([records, bytes]);
      takeRecords();
      takeMessages();
      if (found !== undefined) records = messages = Buffer.alloc(0);
    },
    value: () => found,
  };
}

// A router of our own for what radclient cannot do: any bytes from any loopback address, the same
// packet twice, packets that are wrong on purpose. Packets are put together and checked here anew,
// with node:crypto and nothing of src/, so that a mistake there is not made here as well.

import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';

export const Code = {
  accessRequest: 1,
  accessAccept: 2,
  accessReject: 3,
  accountingRequest: 4,
  accountingResponse: 5,
  accessChallenge: 11,
  statusServer: 12,
} as const;

export const Type = {
  userName: 1,
  userPassword: 2,
  state: 24,
  proxyState: 33,
  acctStatusType: 40,
  acctSessionId: 44,
  eapMessage: 79,
  messageAuthenticator: 80,
} as const;

export type Attribute = readonly [type: number, value: Buffer | string | number];

type Datagram = { bytes: Buffer; address: string; port: number };

export type TestRouter = AsyncDisposable & {
  send(bytes: Buffer, port: number, address?: string): void;
  /** The next datagram that comes, or undefined when none comes in this time. */
  receive(withinMs?: number): Promise<Datagram | undefined>;
  /** Sends, and sends again as a router does, until an answer comes; fails when none does. */
  ask(bytes: Buffer, port: number, address?: string): Promise<Datagram>;
};

const RETRANSMIT_MS = 1000;
const ATTEMPTS = 8;

export async function openTestRouter(address = '127.0.0.1'): Promise<TestRouter> {
  const socket = createSocket('udp4');
  const received: Datagram[] = [];
  const waiting: ((datagram: Datagram) => void)[] = [];
  socket.on('message', (bytes, { address, port }) => {
    const datagram = { bytes, address, port };
    const next = waiting.shift();
    if (next === undefined) received.push(datagram);
    else next(datagram);
  });
  await new Promise<void>((resolve) => {
    socket.bind(0, address, resolve);
  });

  const router: TestRouter = {
    send: (bytes, port, to = '127.0.0.1') => socket.send(bytes, port, to),
    receive(withinMs = 5000) {
      const first = received.shift();
      if (first !== undefined) return Promise.resolve(first);
      return new Promise((resolve) => {
        const arrived = (datagram: Datagram) => {
          clearTimeout(timer);
          resolve(datagram);
        };
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(arrived), 1);
          resolve(undefined);
        }, withinMs);
        waiting.push(arrived);
      });
    },
    async ask(bytes, port, to) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        router.send(bytes, port, to);
        const answer = await router.receive(RETRANSMIT_MS);
        if (answer !== undefined) return answer;
      }
      throw new Error(`no answer from port ${port} to a packet with code ${bytes[0]}`);
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        socket.close(() => resolve());
      }),
  };
  return router;
}

/** With a Message-Authenticator unless `signed` is false. RFC 2865 §3, RFC 3579 §3.2. */
export function accessRequest(options: {
  secret: string;
  identifier?: number;
  username?: string;
  password?: string;
  attributes?: Attribute[];
  signed?: boolean;
  code?: number;
}): Buffer {
  const authenticator = randomBytes(16);
  const attributes: Attribute[] = [];
  if (options.signed !== false) attributes.push([Type.messageAuthenticator, Buffer.alloc(16)]);
  if (options.username !== undefined) attributes.push([Type.userName, options.username]);
  if (options.password !== undefined) {
    const hidden = hidePassword(options.password, options.secret, authenticator);
    attributes.push([Type.userPassword, hidden]);
  }
  attributes.push(...(options.attributes ?? []));
  const packet = encode(
    options.code ?? Code.accessRequest,
    options.identifier ?? 1,
    authenticator,
    attributes,
  );
  if (options.signed !== false) {
    createHmac('md5', options.secret).update(packet).digest().copy(packet, 22);
  }
  return packet;
}

/** RFC 2866 §3: the authenticator covers the packet and the secret. */
export function accountingRequest(options: {
  secret: string;
  identifier?: number;
  attributes: Attribute[];
}): Buffer {
  const packet = encode(
    Code.accountingRequest,
    options.identifier ?? 1,
    Buffer.alloc(16),
    options.attributes,
  );
  createHash('md5').update(packet).update(options.secret).digest().copy(packet, 4);
  return packet;
}

export function encode(
  code: number,
  identifier: number,
  authenticator: Buffer,
  attributes: readonly Attribute[],
): Buffer {
  const packet = Buffer.concat([
    Buffer.of(code, identifier, 0, 0),
    authenticator,
    ...attributes.map(([type, value]) => {
      const bytes = typeof value === 'number' ? Buffer.alloc(4) : Buffer.from(value);
      if (typeof value === 'number') bytes.writeUInt32BE(value);
      return Buffer.concat([Buffer.of(type, bytes.length + 2), bytes]);
    }),
  ]);
  packet.writeUInt16BE(packet.length, 2);
  return packet;
}

export type CheckedReply = { code: number; attributes: { type: number; value: Buffer }[] };

/** Takes an answer apart, or says what is wrong with it. */
export function checkReply(reply: Buffer, request: Buffer, secret: string): CheckedReply {
  if (reply.readUInt16BE(2) !== reply.length) throw new Error('the Length of the answer is wrong');
  if (reply[1] !== request[1]) throw new Error('the answer has another identifier');
  const expected = createHash('md5')
    .update(reply.subarray(0, 4))
    .update(request.subarray(4, 20))
    .update(reply.subarray(20))
    .update(secret)
    .digest();
  if (!expected.equals(reply.subarray(4, 20))) throw new Error('a wrong Response Authenticator');

  const attributes: CheckedReply['attributes'] = [];
  for (let at = 20; at < reply.length;) {
    const length = reply.readUInt8(at + 1);
    if (length < 2 || at + length > reply.length) throw new Error('a broken attribute');
    const type = reply.readUInt8(at);
    attributes.push({ type, value: reply.subarray(at + 2, at + length) });
    if (type === Type.messageAuthenticator)
      checkMessageAuthenticator(reply, at + 2, request, secret);
    at += length;
  }
  return { code: reply.readUInt8(0), attributes };
}

function checkMessageAuthenticator(reply: Buffer, at: number, request: Buffer, secret: string) {
  const covered = Buffer.from(reply);
  request.copy(covered, 4, 4, 20);
  covered.fill(0, at, at + 16);
  const expected = createHmac('md5', secret).update(covered).digest();
  if (!expected.equals(reply.subarray(at, at + 16))) {
    throw new Error('a wrong Message-Authenticator');
  }
}

/** All values of a type, put together: how EAP-Message is read, and any attribute that comes once. */
export function valueOf(reply: CheckedReply, type: number): Buffer {
  return Buffer.concat(
    reply.attributes.filter((attribute) => attribute.type === type).map(({ value }) => value),
  );
}

/** RFC 2865 §5.2. */
function hidePassword(password: string, secret: string, authenticator: Buffer): Buffer {
  const clear = Buffer.from(password);
  const padded = Buffer.alloc(Math.max(16, Math.ceil(clear.length / 16) * 16));
  clear.copy(padded);
  let previous = authenticator;
  for (let at = 0; at < padded.length; at += 16) {
    const mask = createHash('md5').update(secret).update(previous).digest();
    for (let i = 0; i < 16; i++) padded[at + i] = (padded[at + i] ?? 0) ^ (mask[i] ?? 0);
    previous = padded.subarray(at, at + 16);
  }
  return padded;
}

// Answers every login with an Access-Accept and every accounting record with an acknowledgement, and
// does nothing else: no duplicates, no policy, no storage. What the load generator reaches against
// it is the most it can measure. `node responder.ts AUTH_PORT ACCT_PORT`

import { createMd5 } from '../../../src/protocols/radius/md5.ts';
import type { DatagramBatch, DatagramSocket } from '../../../src/runtime/network.ts';
import { PATH_BYTES } from '../../../src/runtime/network.ts';
import { systemNetwork } from '../../../src/runtime/udp/network.ts';

const secret = Buffer.from('testing123');
const md5 = createMd5();

async function answerOn(port: number, code: number): Promise<void> {
  const reply = Buffer.alloc(20);
  let socket: DatagramSocket | undefined;
  const onBatch = ({ count, bytes, offsets, paths }: DatagramBatch) => {
    for (let i = 0; i < count; i++) {
      const offset = offsets[i] ?? 0;
      reply[0] = code;
      reply[1] = bytes[offset + 1] ?? 0;
      reply.writeUInt16BE(reply.length, 2);
      md5.begin();
      md5.update(reply, 0, 4);
      md5.update(bytes, offset + 4, offset + 20);
      md5.update(secret);
      md5.finishInto(reply, 4);
      socket?.send(paths.subarray(i * PATH_BYTES, (i + 1) * PATH_BYTES), reply);
    }
  };
  const receiveBufferBytes = 4 * 1024 * 1024;
  socket = await systemNetwork().bindUdp({ host: '127.0.0.1', port, receiveBufferBytes, onBatch });
}

await answerOn(Number(process.argv[2]), 2);
await answerOn(Number(process.argv[3]), 5);
console.log('ready');

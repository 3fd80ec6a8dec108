// A Lua script that the server runs in one atomic step. It is kept by its SHA-1 (EVALSHA), so only the
// first call after a server's start sends the text. The scripts are in *.lua.ts, one each: TypeScript
// files, so that the compiled package needs no other file beside it.

import { createHash } from 'node:crypto';

export type RedisScript = { text: string; sha1: string };

export function redisScript(text: string): RedisScript {
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

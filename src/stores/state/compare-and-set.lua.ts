// Replaces a value if it is still the one that the caller has read.
//
// KEYS[1]  the key
// ARGV[1]  the value that must be there, byte for byte
// ARGV[2]  time to live of the next value in milliseconds; 0 deletes the key instead
// ARGV[3]  the next value
// Result   1 if it was replaced or deleted, 0 if another value was there, or none

import { redisScript } from './redis-script.ts';

export const compareAndSetScript = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
end
return 1
`);

// Adds to a counter whose time to live counts from its first increment. INCR followed by EXPIRE from
// outside would leave an immortal counter behind if the caller died between the two.
//
// KEYS[1]  the key
// ARGV[1]  what to add, a whole number
// ARGV[2]  time to live in milliseconds
// Result   the sum

import { redisScript } from './redis-script.ts';

export const incrementScript = redisScript(`
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return sum
`);

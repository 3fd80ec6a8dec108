import { describe, expect, test } from 'vitest';
import { compareSessions } from './compare-sessions.ts';

const promised = {
  acctSessionId: 's1',
  username: 'alice',
  isStopped: true,
  seconds: 10,
  inputOctets: 100,
  outputOctets: 1000,
};
const stored = {
  acct_session_id: 's1',
  username: 'alice',
  open: false,
  seconds: 10,
  input_octets: 100,
  output_octets: 1000,
};

function compare(sessions: (typeof stored)[], promise = promised) {
  const {
    isRight,
    acknowledged: _,
    ...found
  } = compareSessions(new Map([['s1', promise]]), sessions);
  return {
    isRight,
    found: Object.entries(found).flatMap(([what, ids]) => (ids.length > 0 ? [what] : [])),
  };
}

describe('what was acknowledged against what is stored', () => {
  test.each([
    ['the same', [stored], true, []],
    ['nothing', [], false, ['lost']],
    ['it twice', [stored, stored], false, ['twice']],
    ['less', [{ ...stored, output_octets: 999 }], false, ['tooLittle']],
    ['more', [{ ...stored, output_octets: 2000 }], false, ['tooMuch']],
    ['still open', [{ ...stored, open: true }], false, ['tooLittle']],
    ['others beside it', [stored, { ...stored, acct_session_id: 's2' }], true, []],
  ])('%s', (_, sessions, isRight, found) => {
    expect(compare(sessions)).toEqual({ isRight, found });
  });

  test('more than acknowledged is right while the last record was not acknowledged', () => {
    const open = { ...promised, isStopped: false };
    expect(compare([{ ...stored, output_octets: 2000 }], open).isRight).toBe(true);
  });
});

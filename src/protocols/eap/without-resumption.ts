// An engine whose connections neither resume nor can be resumed. For EAP-TLS inside TEAP, where the
// tunnel resumes and the method in it must not. RFC 9930 §3.6.4.

import type { TlsEngine, TlsMoment, TlsProgress } from '../tls/engine.ts';

export function withoutResumption(engine: TlsEngine): TlsEngine {
  async function declined(progress: TlsProgress, moment: TlsMoment): Promise<TlsProgress> {
    const { connection } = progress;
    switch (progress.kind) {
      case 'offers-session': {
        const decision = { kind: 'session', session: null } as const;
        return declined(await engine.decide(connection, decision, moment), moment);
      }
      case 'offers-ticket': {
        const decision = { kind: 'ticket', mayResume: false } as const;
        return declined(await engine.decide(connection, decision, moment), moment);
      }
      default:
        return progress;
    }
  }

  return {
    ...engine,
    receive: async (connection, bytes, moment) =>
      declined(await engine.receive(connection, bytes, moment), moment),
    issueTicket: (connection) => ({ connection, output: Buffer.alloc(0) }),
  };
}

// The other radius workers, as eap/logins.ts needs them: who has a conversation that is not in the shared
// state is asked over the peer link.

import type { SharedState } from '../../../domain/shared-state.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import { ownerOf } from './conversation-owner.ts';
import type { Owners } from './logins.ts';
import type { ForwardedRequest } from './peer-datagram.ts';
import { createPeerLink } from './peer-link.ts';
import { createRecordCopies } from './record-copies.ts';
import { startPeerRegistry } from './peer-registry.ts';
import type { Seal } from './record.ts';

export type PeerOptions = {
  /** Of the node and its worker, for people. */
  name: string;
  listenHost: string;
  /** Where the others reach us. */
  announcedHost: string;
  /** 0 picks a free one. */
  port: number;
  /** A rejection waits so long at its owner, and we for it. */
  rejectDelayMs: number;
};

export type Peers = Owners & {
  sendCopy(id: string, round: number, sealed: Buffer): Promise<void>;
  /** From now on others may ask us. */
  open(options: PeerOptions, service: PeerService): Promise<AsyncDisposable>;
};

/** What others ask of us. */
type PeerService = {
  /** The answer to a packet of a conversation that is ours; undefined: none. */
  answer(request: ForwardedRequest): Promise<Buffer | undefined>;
  keepCopy(id: string, round: number, sealed: Buffer): void;
};

/** Then the owner is as good as dead to a router which waits 2 s. */
const ANSWER_MS = 900;
/** How long a node that did not answer is not asked again. */
const SILENT_MS = 2_000;

export function createPeers(
  stores: {
    state: SharedState;
    box: Seal;
    isStateAway(): boolean;
    onStateRecovered(listener: () => void): void;
  },
  runtime: Runtime,
): Peers {
  const own = ownerOf(runtime.random.bytes(16));
  let forwardToOwner: Owners['forward'] = () => Promise.resolve({ kind: 'unreachable' });
  let sendCopy: Peers['sendCopy'] = () => Promise.resolve();
  const silentUntilMs = new Map<number, number>();

  function noteSilent(owner: number) {
    const nowMs = runtime.clock.monotonicMs();
    for (const [other, untilMs] of silentUntilMs) {
      if (untilMs <= nowMs) silentUntilMs.delete(other);
    }
    silentUntilMs.set(owner, nowMs + SILENT_MS);
  }

  return {
    own,
    forward: (owner, packet, source) => forwardToOwner(owner, packet, source),
    sendCopy: (id, round, sealed) => sendCopy(id, round, sealed),

    async open({ name, listenHost, announcedHost, port, rejectDelayMs }, service) {
      await using opened = new AsyncDisposableStack();
      const link = opened.use(
        await createPeerLink({
          runtime,
          box: stores.box,
          owner: own,
          host: listenHost,
          port,
          answerTimeoutMs: ANSWER_MS + rejectDelayMs,
          handle: (request) => service.answer(request),
          keep(part) {
            const whole = copies.receive(part);
            if (whole !== undefined) service.keepCopy(whole.id, whole.round, whole.sealed);
          },
        }),
      );
      const registry = opened.use(
        startPeerRegistry({
          ...stores,
          runtime,
          self: { owner: own, name, host: announcedHost, port: link.port },
        }),
      );
      const copies = createRecordCopies({
        ownName: name,
        peers: () => registry.all(),
        copy: (peer, part) => link.copy(peer, part),
        clock: runtime.clock,
      });
      sendCopy = copies.send;
      forwardToOwner = async (owner, packet, { path, router, isProtected }) => {
        // Each further packet would wait for a dead node once more, and its router for us.
        if (runtime.clock.monotonicMs() < (silentUntilMs.get(owner) ?? 0)) {
          return { kind: 'unreachable', reason: 'timeout' };
        }
        const whose = isProtected ? { protectedRouter: router } : {};
        const request = { packet: packet.bytes, path, port: 'auth', ...whose } as const;
        const outcome = await link.forward(await registry.lookUp(owner), request);
        if (outcome.kind === 'unreachable' && outcome.reason === 'timeout') noteSilent(owner);
        return outcome;
      };
      return opened.move();
    },
  };
}

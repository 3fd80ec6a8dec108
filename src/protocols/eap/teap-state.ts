// What a TEAP login remembers between two messages, as plain data: bytes are hexadecimal text.

import type { InnerConversation } from './inner-conversation.ts';
import type { EapFailureReason } from './method.ts';
import type { CompoundMacKeys, TeapKeyChains } from './teap-keys.ts';

export type TeapState =
  /** The tunnel has just been opened. */
  | { readonly stage?: undefined }
  | { readonly stage: 'method'; readonly login: Login; readonly running: Running }
  /** An inner login has succeeded; the proof that it was made here is awaited. */
  | { readonly stage: 'proof'; readonly login: Login; readonly proving: Proving }
  /** We have said that all is a success. The proof may have been given before. */
  | { readonly stage: 'result'; readonly login: Login; readonly proving?: Proving }
  /** We have said that it is a failure. */
  | { readonly stage: 'refused'; readonly reason: EapFailureReason; readonly detail: string };

/** What the inner logins so far have come to. */
export type Login = {
  readonly seed: string;
  readonly chains: { readonly msk: string; readonly emsk: string; readonly isBare: boolean };
  /** How many have succeeded, and as what. */
  readonly methods: number;
  readonly identityTypes: readonly number[];
  /** What the client says it is, in the login that runs. */
  readonly identityType?: number;
  /** Of the last one. */
  readonly username?: string;
  readonly policy?: string;
  /** SHA-256 of the certificate that has stood for all inner logins. */
  readonly certificate?: string;
  /** A certificate was shown inside, and a ticket could not tell when that stops being good. */
  readonly earnsNoTicket?: true;
  /** `BindingMacs` of the client's last Crypto-Binding. */
  readonly agreedMacs?: number;
};

export type Running =
  | { readonly kind: 'password' }
  | { readonly kind: 'eap'; readonly inner: InnerConversation };

export type Proving = {
  readonly nonce: string;
  readonly keys: { readonly msk: string; readonly emsk?: string };
  /** Else nothing was asked inside, and no Intermediate-Result is due. */
  readonly isAfterMethod: boolean;
};

export function textOfChains({ msk, emsk, isBare }: TeapKeyChains): Login['chains'] {
  return { msk: msk.toString('hex'), emsk: emsk.toString('hex'), isBare };
}

export function chainsOf({ msk, emsk, isBare }: Login['chains']): TeapKeyChains {
  return { msk: toBytes(msk), emsk: toBytes(emsk), isBare };
}

export function textOfKeys({ msk, emsk }: CompoundMacKeys): Proving['keys'] {
  return { msk: msk.toString('hex'), ...(emsk && { emsk: emsk.toString('hex') }) };
}

export function keysOf({ msk, emsk }: Proving['keys']): CompoundMacKeys {
  return { msk: toBytes(msk), ...(emsk === undefined ? {} : { emsk: toBytes(emsk) }) };
}

export function toBytes(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

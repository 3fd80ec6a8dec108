// How commands speak to a running gateway: where it is, with which key, and its refusals as sentences.

import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { httpRequest } from '../runtime/http-client.ts';
import { loadFor } from './load.ts';

export type GatewayOptions = { url?: string; data?: string; config?: string };

export type Gateway = {
  readonly url: string;
  /** Resolves with the body of a success; rejects with `Refused` or a sentence for people. */
  request(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown>;
};

export type FieldError = { pointer?: string; parameter?: string; detail: string };

/** The gateway understood and said no. */
export class Refused extends Error {
  override name = 'Refused';
  readonly status: number;
  readonly errors: FieldError[];

  constructor(message: string, status: number, errors: FieldError[]) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

/** A large file of subscribers takes its time. */
const TIMEOUT_MS = 120_000;

export function gatewayFrom(options: GatewayOptions): Gateway {
  const { config } = loadFor(options);
  const port = config.gateway.port === 0 ? 8080 : config.gateway.port;
  const url = options.url ?? (process.env['EVERGATE_URL'] || `http://127.0.0.1:${port}`);
  return connectGateway(url, findToken(config.data));
}

export function connectGateway(url: string, token: string): Gateway {
  const base = url.replace(/\/+$/, '');
  if (!/^https?:\/\/[^/\s]+/.test(base)) {
    throw new Error(`${url} is not the URL of a gateway; it looks like http://127.0.0.1:8080`);
  }
  return {
    url: base,
    async request(method, path, body) {
      const answer = await httpRequest({
        method,
        url: `${base}${path}`,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        timeoutMs: TIMEOUT_MS,
      }).catch((error: unknown) => {
        throw new Error(
          `no gateway answers at ${base}. Start one with \`evergate up\`, or say where it is with EVERGATE_URL`,
          { cause: error },
        );
      });
      const content = parseJson(answer.body);
      if (answer.status >= 200 && answer.status < 300) return content;
      throw refusal(base, answer.status, content);
    },
  };
}

/** True when a key can be found, so that a command may use the API without being asked to. */
export function hasToken(options: GatewayOptions): boolean {
  try {
    findToken(loadFor(options).config.data);
    return true;
  } catch {
    return false;
  }
}

function findToken(data: string): string {
  const given = process.env['EVERGATE_TOKEN'];
  if (given) return given;
  const file = process.env['EVERGATE_TOKEN_FILE'] || join(data, 'admin.token');
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Error(
      `no API key: set EVERGATE_TOKEN, or name with --data the directory in which \`evergate up\` writes admin.token (looked for ${relative('.', file)})`,
      { cause: error },
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(base: string, status: number, content: unknown): Refused {
  const problem = (content ?? {}) as { title?: string; detail?: string; errors?: FieldError[] };
  const why = problem.detail ?? problem.title ?? `it answered ${status}`;
  const sentence =
    status === 401
      ? `the gateway at ${base} does not accept this API key: ${why}`
      : status === 403
        ? `this API key may not do that: ${why}`
        : `the gateway at ${base} refused: ${why}`;
  return new Refused(sentence, status, problem.errors ?? []);
}

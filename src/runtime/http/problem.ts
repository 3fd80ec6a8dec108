// Problem documents: how every HTTP error looks from outside. RFC 9457.
// A problem says what is wrong and with which field, never why inside: causes go to the log.

export type Problem = {
  status: number;
  /** The last part of `urn:evergate:problem:…`; programs may rely on it. */
  type: string;
  /** The same sentence for every problem of the type. */
  title: string;
  /** What was wrong this time, and what to do. */
  detail?: string | undefined;
  errors?: FieldError[] | undefined;
  retryAfterSeconds?: number | undefined;
  headers?: Record<string, string> | undefined;
};

export type FieldError =
  /** A JSON pointer into the body, RFC 6901: `/routers/0/address`. */
  | { pointer: string; detail: string }
  /** The name of a path or query parameter, or of a header. */
  | { parameter: string; detail: string };

/** Ends a request with a problem document, from wherever it is thrown. */
export class ProblemError extends Error {
  override name = 'ProblemError';
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail ?? problem.title, options);
    this.problem = problem;
  }
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json; charset=utf-8';

/** The document as it is sent. */
export function problemDocument(problem: Problem, instance: string, requestId: string) {
  return {
    type: `urn:evergate:problem:${problem.type}`,
    title: problem.title,
    status: problem.status,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    instance,
    request_id: requestId,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  };
}

export const badRequest = (detail: string, errors?: FieldError[]): Problem => ({
  status: 400,
  type: 'bad-request',
  title: 'The request cannot be understood',
  detail,
  errors,
});

export const unauthorized = (detail: string): Problem => ({
  status: 401,
  type: 'unauthorized',
  title: 'The request needs a valid token',
  detail,
  headers: { 'www-authenticate': 'Bearer realm="evergate"' },
});

export const notFound = (detail: string): Problem => ({
  status: 404,
  type: 'not-found',
  title: 'There is no such thing here',
  detail,
});

export const methodNotAllowed = (detail: string, allow: string[]): Problem => ({
  status: 405,
  type: 'method-not-allowed',
  title: 'The method is not possible here',
  detail,
  headers: { allow: allow.join(', ') },
});

export const payloadTooLarge = (detail: string): Problem => ({
  status: 413,
  type: 'payload-too-large',
  title: 'The body is too large',
  detail,
});

export const uriTooLong = (detail: string): Problem => ({
  status: 414,
  type: 'uri-too-long',
  title: 'The path is too long',
  detail,
});

export const unsupportedMediaType = (detail: string): Problem => ({
  status: 415,
  type: 'unsupported-media-type',
  title: 'The content type is not understood',
  detail,
});

export const internalError = (): Problem => ({
  status: 500,
  type: 'internal-error',
  title: 'Something went wrong on our side',
  detail: 'The cause is in our log under the request id.',
});

export const unavailable = (detail: string, retryAfterSeconds: number): Problem => ({
  status: 503,
  type: 'unavailable',
  title: 'The service cannot do this now',
  detail,
  retryAfterSeconds,
});

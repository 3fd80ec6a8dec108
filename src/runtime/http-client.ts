// HTTP as a client, for the commands that talk to a running Evergate.

export type HttpAnswer = { status: number; body: string; contentType: string };

/** Rejects when there is no answer within the time; any status is an answer. */
export async function httpRequest(options: {
  method: 'GET' | 'POST' | 'DELETE' | 'PATCH' | 'PUT';
  url: string;
  headers?: Record<string, string>;
  body?: string;
  timeoutMs: number;
}): Promise<HttpAnswer> {
  const { method, url, headers = {}, body, timeoutMs } = options;
  const response = await fetch(url, {
    method,
    headers,
    signal: AbortSignal.timeout(timeoutMs),
    redirect: 'error', // an API key is for the gateway that was named, not for where it points
    ...(body === undefined ? {} : { body }),
  });
  return {
    status: response.status,
    body: await response.text(),
    contentType: response.headers.get('content-type') ?? '',
  };
}

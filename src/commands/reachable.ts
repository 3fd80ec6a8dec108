// Where this machine reaches what listens on a configured host.

/** `0.0.0.0` is reached at 127.0.0.1; an IPv6 address comes in brackets, as in a URL. */
export function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

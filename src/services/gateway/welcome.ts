// The first page: what runs here and where to go on, until the console takes its place.

import type { FastifyInstance } from 'fastify';

export function serveWelcome(app: FastifyInstance, version: string): void {
  const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evergate</title>
<style>
:root { color-scheme: light dark; font: 1.05rem/1.6 system-ui, sans-serif; }
body { max-width: 40rem; margin: 12vh auto; padding: 0 1.25rem; }
code { padding: .1em .3em; border-radius: .25em; background: color-mix(in srgb, currentColor 10%, transparent); }
</style>
</head>
<body>
<main>
<h1>Evergate is running</h1>
<p>Version ${version}. Network access that stays on.</p>
<ul>
<li><a href="/health">Health</a>: how it is doing</li>
<li><a href="/v1/openapi.json">The API</a>, as OpenAPI 3.1</li>
<li><a href="/metrics">Metrics</a>, for Prometheus</li>
</ul>
<p>Describe your sites, routers, plans and subscribers in a file, then run <code>evergate apply FILE</code>.</p>
</main>
</body>
</html>
`;
  app.get('/', async (_request, reply) =>
    reply
      .header(
        'content-security-policy',
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      )
      .type('text/html; charset=utf-8')
      .send(page),
  );
}

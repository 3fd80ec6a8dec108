// Requests counted and timed by route. The route is the pattern (`/v1/sites/:name`), never the path:
// label values from outside would grow without bound.

import type { FastifyInstance } from 'fastify';
import type { CounterCell, HistogramCell } from '../metrics.ts';
import { LATENCY_BOUNDS_SECONDS } from '../metrics.ts';
import type { Runtime } from '../runtime.ts';

export function measureRequests(
  app: FastifyInstance,
  { log, metrics }: Pick<Runtime, 'clock' | 'log' | 'metrics'>,
): void {
  const requests = metrics.counter('evergate_http_requests_total', 'HTTP requests answered');
  const latency = metrics.histogram(
    'evergate_http_request_seconds',
    'Time from the first byte of an HTTP request to the end of its answer',
    LATENCY_BOUNDS_SECONDS,
  );
  const cells = new Map<string, { requests: CounterCell; latency: HistogramCell }>();

  app.addHook('onResponse', async (request, reply) => {
    const { method } = request;
    const route = request.routeOptions.url ?? 'none';
    const status = String(reply.statusCode);
    const key = `${method} ${status} ${route}`;
    let cell = cells.get(key);
    if (cell === undefined) {
      cell = {
        requests: requests.labels({ method, route, status }),
        latency: latency.labels({ method, route }),
      };
      cells.set(key, cell);
    }
    cell.requests.add();
    cell.latency.observe(reply.elapsedTime / 1_000);
    log.debug('an HTTP request was answered', {
      request_id: request.id,
      method,
      route,
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
    });
  });
}

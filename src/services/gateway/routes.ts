// Every route of the API, and the document that describes them.

import type { FastifyInstance } from 'fastify';
import type { Runtime } from '../../runtime/runtime.ts';
import { openApiDocument } from './openapi.ts';
import { resourceRoutes } from './resource-routes.ts';
import type { Route } from './route.ts';
import { apiKeyRoutes } from './routes/api-keys.ts';
import { applyRoutes } from './routes/apply.ts';
import { exportRoutes } from './routes/export.ts';
import { plans } from './routes/plans.ts';
import { routers } from './routes/routers.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { sites } from './routes/sites.ts';
import { subscribers } from './routes/subscribers.ts';
import { usageRoutes } from './routes/usage.ts';
import { createVouchers, vouchers } from './routes/vouchers.ts';
import { serveRoute } from './serve-route.ts';
import type { ServeOptions } from './serve-route.ts';

export const routes: Route[] = [
  ...Object.values(resourceRoutes(sites, { write: 'manage' })),
  ...Object.values(resourceRoutes(routers, { write: 'manage' })),
  ...Object.values(resourceRoutes(plans, { write: 'manage' })),
  ...Object.values(resourceRoutes(subscribers, { write: 'serve' })),
  ...Object.values({ ...resourceRoutes(vouchers, { write: 'serve' }), create: createVouchers }),
  ...sessionRoutes,
  ...usageRoutes,
  ...apiKeyRoutes,
  ...applyRoutes,
  ...exportRoutes,
];

export function serveApi(
  app: FastifyInstance,
  options: ServeOptions & { version: string },
  runtime: Runtime,
): void {
  for (const route of routes) serveRoute(app, route, options, runtime);
  const document = JSON.stringify(openApiDocument(routes, options.version));
  app.get('/v1/openapi.json', async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(document),
  );
}

// `evergate start SERVICE...`: some services of a cluster, whose stores run elsewhere.

import { loadFor } from './load.ts';
import type { ConfigOptions } from './load.ts';
import { SERVICES, runServices } from './run-services.ts';
import type { ServiceName } from './run-services.ts';
import { UsageError } from './usage-error.ts';

export async function start(
  names: string[],
  options: ConfigOptions,
  version: string,
): Promise<void> {
  const services = SERVICES.filter((service) => names.includes(service));
  const unknown = names.find((name) => !SERVICES.some((service) => service === name));
  if (unknown !== undefined) {
    throw new UsageError(`there is no service ${unknown}; there are ${SERVICES.join(', ')}`);
  }
  await runServices(loadFor(options), version, {
    name: serviceName(services),
    services,
    isAlone: false,
    onReady: ({ runtime, radius, httpPort }) => {
      runtime.log.info('ready', {
        services,
        http_port: httpPort,
        ...(radius === undefined
          ? {}
          : {
              auth_port: radius.authPort,
              acct_port: radius.acctPort,
              udp_engine: radius.engine,
            }),
      });
    },
  });
}

function serviceName(services: readonly ServiceName[]): string {
  return services.length === 1 ? (services[0] ?? 'evergate') : 'evergate';
}

// argv → one command. Each verb is described here and lives in commands/, which is loaded only when
// it is called. Exit codes: 0 done; 1 it did not work, and one line on stderr says why; 2 wrong usage.

import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { addCertificateCommands } from './commands/certificate.ts';
import { addClusterCommands } from './commands/cluster.ts';
import { describeError } from './runtime/describe-error.ts';
import { nearest } from './runtime/config/nearest.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };

let commandersWords = '';
const program = new Command('evergate')
  .description('Network access that stays on: RADIUS for hotspots and small ISPs.')
  .version(version, '-V, --version')
  .helpCommand(false)
  .showSuggestionAfterError(false)
  .exitOverride()
  .configureOutput({
    writeErr: (text) => {
      commandersWords = text; // complain() decides what is shown
    },
  });

const json = () => new Option('--json', 'print JSON');
const configFile = () =>
  new Option('--config <file>', 'configuration file (default: evergate.yaml)');
const dataDirectory = () => new Option('--data <directory>', 'data directory (default: ./data)');
const gatewayUrl = () =>
  new Option('--url <url>', 'the gateway (default: EVERGATE_URL or http://127.0.0.1:8080)');

verb('up', 'run all services in this process, on embedded stores')
  .addOption(dataDirectory())
  .addOption(configFile())
  .option('--apply <file>', 'apply this file once everything runs')
  .addOption(json())
  .action(async (options) => (await import('./commands/up.ts')).up(options, version));

verb('start', 'run some services, in a cluster')
  .argument('<service...>', 'radius, gateway')
  .addOption(dataDirectory())
  .addOption(configFile())
  .addOption(json())
  .action(async (services: string[], options) =>
    (await import('./commands/start.ts')).start(services, options, version),
  );

addClusterCommands(verb('cluster', 'a whole cluster on this machine, to try it and to break it'));

verb('apply', 'make sites, routers, plans, subscribers and vouchers what the file says')
  .argument('<file>', 'a YAML file, or - for standard input')
  .addOption(gatewayUrl())
  .addOption(dataDirectory())
  .addOption(json())
  .action(async (file: string, options) =>
    (await import('./commands/apply.ts')).apply(file, options),
  );

verb('export', 'print what `apply` would have to say to get the present state')
  .option('--secrets', 'with passwords and secrets; needs the key of an owner')
  .addOption(gatewayUrl())
  .addOption(dataDirectory())
  .addOption(json())
  .action(async (options) => (await import('./commands/export.ts')).exportState(options));

const token = verb('token', 'API keys');
token
  .command('create')
  .description('create an API key and print it, once')
  .addOption(
    new Option('--role <role>', 'what it may do')
      .choices(['owner', 'manager', 'support', 'read-only'])
      .makeOptionMandatory(),
  )
  .option('--name <name>', 'what it is for', 'command line')
  .option('--direct', 'write it into the database, without a gateway')
  .addOption(gatewayUrl())
  .addOption(dataDirectory())
  .addOption(configFile())
  .addOption(json())
  .action(async (options) => (await import('./commands/token.ts')).createToken(options));

verb('login', 'try a login as a router would')
  .argument('<user>')
  .argument('[password]', 'not needed with --method tls')
  .addOption(
    new Option('--method <method>', 'how the password, or the certificate, is sent')
      .choices(['pap', 'chap', 'mschapv2', 'peap', 'ttls', 'tls'])
      .default('pap'),
  )
  .addOption(
    new Option(
      '--inner <method>',
      'how the password is sent inside (default: mschapv2 for peap, pap for ttls)',
    ).choices(['pap', 'mschapv2', 'gtc']),
  )
  .option('--identity <name>', 'the name shown outside the tunnel (default: anonymous)')
  .option('--ca <file>', 'the authority (PEM) that the certificate of the server must come from')
  .option('--certificate <file>', 'the certificate (PEM) of --method tls')
  .option('--key <file>', 'its key (PEM)')
  .option('--server <host:port>', 'the RADIUS server', '127.0.0.1:1812')
  .option('--secret <secret>', 'the secret of this router', 'testing123')
  .option('--timeout <seconds>', 'how long to wait for an answer', seconds, 5)
  .addOption(configFile())
  .addOption(json())
  .action(async (user: string, password: string | undefined, options) =>
    (await import('./commands/login.ts')).login(user, password, options),
  );

verb('simulate', 'virtual hotspots that log in, account, roam and log out')
  .option('--routers <n>', 'how many routers', wholeNumber, 3)
  .option('--subscribers <n>', 'how many subscribers', wholeNumber, 200)
  .option('--rate <n>', 'logins per second', wholeNumber, 20)
  .option('--duration <seconds>', 'how long', seconds, 30)
  .option('--server <host:port>', 'the RADIUS server', '127.0.0.1:1812')
  .option('--acct-port <port>', 'its accounting port (default: one above)', wholeNumber)
  .option('--secret <secret>', 'the secret of the routers (default: a new one, or testing123)')
  .option(
    '--prepare',
    'create routers, a plan and subscribers by the API (default with an API key)',
  )
  .option('--no-prepare', 'use the subscribers simulate-1, simulate-2 … that exist already')
  .option('--password <password>', 'their password, with --no-prepare')
  .addOption(
    new Option(
      '--method <method>',
      'how they log in (default: pap, chap and mschapv2 in turns)',
    ).choices(['pap', 'chap', 'mschapv2', 'peap', 'ttls']),
  )
  .addOption(gatewayUrl())
  .addOption(dataDirectory())
  .addOption(json())
  .action(async (options) => (await import('./commands/simulate.ts')).simulate(options));

addCertificateCommands(verb('certificate', 'a private authority, and certificates for EAP-TLS'));

verb('doctor', 'check this machine, the configuration, the stores and the services')
  .addOption(dataDirectory())
  .addOption(configFile())
  .addOption(json())
  .action(async (options) => (await import('./commands/doctor.ts')).doctor(options));

const database = verb('database', 'the database schema');
for (const [name, description] of [
  ['migrate', 'bring the schema up to date'],
  ['status', 'show which migrations the database has'],
] as const) {
  database
    .command(name)
    .description(description)
    .addOption(dataDirectory())
    .addOption(configFile())
    .addOption(json())
    .action(async (options) => (await import('./commands/database.ts')).database(name, options));
}

verb('config', 'print what is in effect and where it came from, secrets hidden')
  .addOption(dataDirectory())
  .addOption(configFile())
  .option('--markdown', 'print every key with its default, as docs/configuration.md does')
  .addOption(json())
  .action(async (options) => (await import('./commands/config.ts')).config(options));

// Nothing of ours should come here; if it does, another process does better than this one.
for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (error: unknown) => {
    complain(error);
    process.exit(1);
  });
}

try {
  await program.parseAsync();
} catch (error) {
  complain(error);
  process.exitCode = exitCodeOf(error);
}

function verb(name: string, description: string): Command {
  // Options and exit behaviour are inherited by sub-commands from here.
  return program.command(name).description(description);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return error instanceof Error && error.name === 'UsageError' ? 2 : 1;
}

/** One line that says why, and the stack only for those who ask for it. */
function complain(error: unknown): void {
  if (error instanceof CommanderError && error.exitCode === 0) return; // --help and --version
  if (error instanceof CommanderError && error.code === 'commander.help') {
    process.stderr.write(commandersWords); // called without a command: this is what there is
    return;
  }
  const sentence = error instanceof CommanderError ? usageSentence(error) : describeError(error);
  process.stderr.write(`evergate: ${sentence}\n`);
  if (process.env['EVERGATE_DEBUG'] === '1' && error instanceof Error) {
    process.stderr.write(`${String(error.stack)}\n`);
  }
}

function usageSentence(error: CommanderError): string {
  const sentence = error.message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  if (error.code !== 'commander.unknownCommand') return `${sentence}. \`evergate --help\` helps.`;
  const unknown = /'(.*)'/.exec(sentence)?.[1] ?? '';
  const meant = nearest(
    unknown,
    program.commands.map((command) => command.name()),
  );
  return meant === undefined
    ? `${sentence}. \`evergate --help\` lists the commands.`
    : `${sentence}. Did you mean ${meant}?`;
}

function wholeNumber(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(value);
}

function seconds(value: string): number {
  const match = /^(\d+(?:\.\d+)?)s?$/.exec(value);
  if (match === null) throw new InvalidArgumentError('It must be a number of seconds.');
  return Number(match[1]);
}

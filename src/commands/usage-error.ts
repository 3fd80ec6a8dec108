// The command was called in a way that cannot mean anything: exit code 2.

export class UsageError extends Error {
  override name = 'UsageError';
}

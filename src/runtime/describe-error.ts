// An error as one line for people: `writing the journal: ENOSPC: no space left on device`.

/** The message of an error and of its causes; never the stack. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  while (current instanceof Error && parts.length < 8) {
    parts.push(ownMessage(current));
    current = current.cause;
  }
  if (parts.length === 0) parts.push(String(error));
  return parts.join(': ').replaceAll(/\s*\n\s*/g, ' ');
}

/** A host with several addresses fails with an AggregateError, whose own message is empty. */
function ownMessage(error: Error): string {
  if (error.message !== '') return error.message;
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map(describeError).join(', ');
  }
  return error.name;
}

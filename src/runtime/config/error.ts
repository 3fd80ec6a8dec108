// A configuration that cannot be: one sentence that says where, what, and what is allowed instead.

export class ConfigError extends Error {
  override name = 'ConfigError';
}

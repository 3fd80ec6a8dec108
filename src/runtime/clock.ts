// Time. Wall-clock time is for records and people; monotonic time is for waits and ages, because
// the wall clock jumps.

export type Clock = {
  /** Milliseconds since 1970, by the wall clock. */
  nowMs(): number;
  /** Milliseconds since some fixed moment; never goes back. A fraction has microseconds. */
  monotonicMs(): number;
  /** Calls once after a delay, unless disposed of before. Does not keep the process alive. */
  after(delayMs: number, action: () => void): Disposable;
  /** Calls every `periodMs` until disposed of. Does not keep the process alive. */
  every(periodMs: number, action: () => void): Disposable;
  /** Resolves after the delay, or at once when the signal is aborted. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
  /** Calls after the present turn of the event loop has handled what it had received. */
  soon(action: () => void): void;
};

export function systemClock(): Clock {
  const stopOnDispose = (timer: NodeJS.Timeout): Disposable => {
    timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  };
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after: (delayMs, action) => stopOnDispose(setTimeout(action, delayMs)),
    every: (periodMs, action) => stopOnDispose(setInterval(action, periodMs)),
    sleep: (delayMs, signal) => sleep(delayMs, signal),
    soon: (action) => {
      setImmediate(action);
    },
  };
}

function sleep(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal?.addEventListener('abort', done, { once: true });
  });
}

// Threads of this process that do the same work side by side, and the channel to them.
// Each has its own event loop and memory; what they share they ask their parent for.

import { Worker, parentPort, workerData } from 'node:worker_threads';

/** Messages are copied; functions and class instances do not travel. */
export type Channel = {
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
};

export type WorkerThread = AsyncDisposable & {
  readonly channel: Channel;
  /** Resolves when the thread has ended, with what ended it, if it did not end by itself. */
  readonly ended: Promise<unknown>;
};

/** `data` is what `workerInput` gives inside. */
export function startWorkerThread(file: URL, data: unknown): WorkerThread {
  const worker = new Worker(file, { workerData: data, name: 'evergate' });
  let error: unknown;
  worker.on('error', (cause) => {
    error = cause;
  });
  const ended = new Promise<unknown>((resolve) => {
    worker.on('exit', () => resolve(error));
  });
  return {
    channel: {
      send: (message) => worker.postMessage(message),
      onMessage: (listener) => void worker.on('message', listener),
    },
    ended,
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}

/** Inside a thread: what it was started with, and the channel to the parent. */
export function workerInput(): { data: unknown; channel: Channel } {
  const port = parentPort;
  if (port === null) throw new Error('this file runs as a worker thread only');
  return {
    data: workerData,
    channel: {
      send: (message) => port.postMessage(message),
      onMessage: (listener) => void port.on('message', listener),
    },
  };
}

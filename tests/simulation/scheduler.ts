// Virtual time: a queue of what happens next. Nothing in a simulated world happens outside it, so a
// world is the same every time it starts from the same seed. Between two events all promises that
// can go on do so; then time jumps to the next event.

export type Scheduler = {
  /** Since the world began. */
  readonly nowMs: number;
  at(delayMs: number, action: () => void): Disposable;
  sleep(delayMs: number): Promise<void>;
  /** Lets so much time pass. */
  run(durationMs: number): Promise<void>;
  /** Lets time pass until the promise settles; fails when it does not within `limitMs`. */
  until<T>(promise: Promise<T>, limitMs: number): Promise<T>;
};

type Event = { atMs: number; order: number; action: (() => void) | undefined };

export function createScheduler(): Scheduler {
  const queue: Event[] = [];
  let nowMs = 0;
  let order = 0;

  /** A step to the next event that is due by then; false if there is none. */
  async function step(untilMs: number): Promise<boolean> {
    const [first] = queue;
    if (first === undefined || first.atMs > untilMs) return false;
    takeFirst(queue);
    if (first.action === undefined) return true; // disposed of
    nowMs = first.atMs;
    first.action();
    await promisesGoOn();
    return true;
  }

  const scheduler: Scheduler = {
    get nowMs() {
      return nowMs;
    },

    at(delayMs, action) {
      const event: Event = { atMs: nowMs + Math.max(0, delayMs), order: order++, action };
      insert(queue, event);
      return { [Symbol.dispose]: () => void (event.action = undefined) };
    },

    sleep(delayMs) {
      return new Promise((resolve) => {
        scheduler.at(delayMs, resolve);
      });
    },

    async run(durationMs) {
      await promisesGoOn();
      const untilMs = nowMs + durationMs;
      while (await step(untilMs));
      nowMs = untilMs;
    },

    async until(promise, limitMs) {
      let isSettled = false;
      const settled = () => {
        isSettled = true;
      };
      promise.then(settled, settled);
      await promisesGoOn();
      const untilMs = nowMs + limitMs;
      while (!isSettled) {
        if (!(await step(untilMs))) {
          throw new Error(`nothing came of it within ${limitMs} ms of virtual time`);
        }
      }
      return promise;
    },
  };
  return scheduler;
}

/** A real turn of the event loop: every promise that can go on has done so when it is over. */
function promisesGoOn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** The queue is a binary heap: the children of i are 2i + 1 and 2i + 2, and come after it. */
function insert(heap: Event[], event: Event) {
  let at = heap.push(event) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above] as Event;
    if (!isBefore(event, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = event;
}

function takeFirst(heap: Event[]) {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && isBefore(heap[below + 1] as Event, heap[below] as Event))
      below++;
    if (isBefore(last, heap[below] as Event)) break;
    heap[at] = heap[below] as Event;
    at = below;
  }
  heap[at] = last;
}

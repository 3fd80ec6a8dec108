// What the watched servers and the load itself use while something is measured.

import { cpuMicrosecondsOf, residentKiBOf } from '../process-usage.ts';

export type Usage = {
  /** Of the watched processes and their children, in the order in which they were named. */
  watched: { pid: number; cpuMicrosecondsPerRequest: number; residentKiB: number }[];
  cpuMicrosecondsPerRequest: number;
  residentKiB: number;
  /** The share of a core that the watched processes used: below 0.95 the server was not saturated. */
  coreShare: number;
  generatorCoreShare: number;
};

export type Watch = {
  begin(): void;
  end(): void;
  usage(requests: number, seconds: number): Usage;
};

export function createWatch(pids: readonly number[]): Watch {
  const now = () => ({
    total: cpuMicrosecondsOf(pids),
    each: pids.map((pid) => cpuMicrosecondsOf([pid])),
    generator: process.cpuUsage(),
  });
  let before = now();
  let after = before;
  return {
    begin() {
      before = now();
    },
    end() {
      after = now();
    },
    usage(requests, seconds) {
      const perRequest = (microseconds: number) => microseconds / Math.max(1, requests);
      const generator =
        after.generator.user +
        after.generator.system -
        before.generator.user -
        before.generator.system;
      return {
        watched: pids.map((pid, i) => ({
          pid,
          cpuMicrosecondsPerRequest: perRequest((after.each[i] ?? 0) - (before.each[i] ?? 0)),
          residentKiB: residentKiBOf([pid]),
        })),
        cpuMicrosecondsPerRequest: perRequest(after.total - before.total),
        residentKiB: residentKiBOf(pids),
        coreShare: (after.total - before.total) / 1e6 / seconds,
        generatorCoreShare: generator / 1e6 / seconds,
      };
    },
  };
}

// Where `evergate cluster up` shows what goes on: a table that is refreshed on a terminal, plain lines
// elsewhere, or one line of JSON and nothing more.

import type { PartEvent } from '../../operations/cluster/part.ts';
import type { PartView } from '../../operations/cluster/look.ts';
import type { Clock } from '../../runtime/clock.ts';
import { createLiveText } from '../live-text.ts';
import { bold, dim, green, print, yellow } from '../terminal.ts';
import { eventSentence, partsTable } from './view.ts';

export type Screen = {
  /** Something that people should read. */
  say(sentence: string): void;
  event(event: PartEvent): void;
  /** How everything is now. */
  show(views: readonly PartView[], phase: Phase): void;
  /** Text that stays: what is where, and what to try next. */
  page(text: string): void;
  /** The last word. */
  end(sentence: string): void;
};

export type Phase = 'starting' | 'running' | 'stopping';

/** What happened lately stands below the table. */
const SHOWN_SENTENCES = 5;

export function liveScreen(clock: Clock, title: string, out = process.stdout): Screen {
  let live = createLiveText(out);
  let said: string[] = [];
  let shown: { views: readonly PartView[]; phase: Phase } = { views: [], phase: 'starting' };
  const startedMs = clock.monotonicMs();

  function draw(): void {
    const { columns, rows } = out;
    const head = `${heading(shown.views, shown.phase)}  ${dim(`${title}  ${elapsed()}  ${HINTS[shown.phase]}`)}`;
    const rowsOfParts = shown.views.length === 0 ? [] : ['', ...partsTable(shown.views)];
    const table = [head, ...rowsOfParts.map((line) => `  ${line}`)];
    const room = Math.max(0, Math.min(SHOWN_SENTENCES, rows - table.length - 3));
    const news = room === 0 || said.length === 0 ? [] : ['', ...said.slice(-room)];
    live.show([...table, ...news].map((line) => clip(line, columns - 1)).join('\n'));
  }

  function elapsed(): string {
    const seconds = Math.floor((clock.monotonicMs() - startedMs) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  }

  const say = (sentence: string) => {
    said = [...said, `  ${dim(timeOf(clock))} ${sentence}`].slice(-SHOWN_SENTENCES);
    draw();
  };
  return {
    say,
    event(event) {
      const sentence = eventSentence(event);
      if (sentence !== undefined) say(sentence);
    },
    show(views, phase) {
      shown = { views, phase };
      draw();
    },
    page(text) {
      live.show(text); // in place of the table, which goes on below it
      live = createLiveText(out);
    },
    end: (sentence) => live.finish(sentence),
  };
}

const HINTS: Record<Phase, string> = {
  starting: 'starting',
  running: 'Ctrl-C stops it',
  stopping: 'stopping',
};

function heading(views: readonly PartView[], phase: Phase): string {
  if (views.length === 0) return `${yellow('◐')} ${bold('Evergate cluster')}`;
  const ready = views.filter(({ condition }) => condition === 'ready').length;
  const isWhole = ready === views.length && phase === 'running';
  const count = isWhole ? `all ${ready} parts ready` : `${ready} of ${views.length} parts ready`;
  return `${isWhole ? green('●') : yellow('◐')} ${bold('Evergate cluster')}  ${count}`;
}

/** For a log, a pipe, a CI job. */
export function plainScreen(clock: Clock): Screen {
  const say = (sentence: string) => print(`${timeOf(clock)} ${sentence}`);
  let isStarting = true;
  return {
    say,
    event(event) {
      const sentence =
        event.kind === 'ready' && isStarting
          ? `${event.part}: ${green('ready')}`
          : eventSentence(event);
      if (sentence !== undefined) say(sentence);
    },
    show: (_, phase) => {
      isStarting = phase === 'starting';
    },
    page: print,
    end: say,
  };
}

/** The one line is printed by whoever has the addresses. */
export function silentScreen(): Screen {
  const nothing = () => undefined;
  return { say: nothing, event: nothing, show: nothing, page: nothing, end: nothing };
}

function timeOf(clock: Clock): string {
  return new Date(clock.nowMs()).toTimeString().slice(0, 8);
}

// oxlint-disable-next-line no-control-regex -- escape sequences begin with a control character
const COLOUR_OR_CHARACTER = /\u001B\[\d+m|[^]/gu;

/** A line that wraps would be two, and the table could not be rewritten in place. */
function clip(line: string, width: number): string {
  let visible = 0;
  return [...line.matchAll(COLOUR_OR_CHARACTER)]
    .map(([piece]) => (piece.startsWith('\u001B') || visible++ < width ? piece : ''))
    .join('');
}

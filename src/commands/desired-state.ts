// A YAML file of sites, routers, plans, subscribers and vouchers, and where in it a value stands:
// the gateway judges the values and names them by pointer, people look for lines.

import { readFileSync } from 'node:fs';
import {
  LineCounter,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  parseDocument,
  visit,
} from 'yaml';
import type { Document, Node } from 'yaml';

export type DesiredStateFile = {
  content: unknown;
  /** `hotspot.yaml:4:18: routers[0].address` for `/routers/0/address`. */
  locate(pointer: string): string;
};

export function readDesiredState(path: string): DesiredStateFile {
  const name = path === '-' ? 'standard input' : path;
  let source: string;
  try {
    source = readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new Error(`${name} cannot be read`, { cause: error });
  }
  return parseDesiredState(source, name);
}

export function parseDesiredState(source: string, name: string): DesiredStateFile {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };

  const [syntaxError] = document.errors;
  if (syntaxError !== undefined) {
    const sentence = syntaxError.message.split('\n', 1)[0] ?? '';
    throw new Error(`${place(syntaxError.pos[0])}: this is not valid YAML: ${sentence}`);
  }
  if (!isMap(document.contents)) {
    throw new Error(
      `${place(0)}: the file must hold sections: sites, routers, plans, subscribers or vouchers`,
    );
  }
  const root: Node = document.contents;
  keepTextAsWritten(document);

  return {
    content: valuesOf(document, place),
    locate(pointer) {
      const steps = pointer.split('/').slice(1).map(unescapePointer);
      const shown = steps
        .map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`))
        .join('')
        .replace(/^\./, '');
      const prefix = place(offsetOf(root, steps));
      return shown === '' ? prefix : `${prefix}: ${shown}`;
    },
  };
}

/** Aliases may multiply without end, or hold themselves. */
function valuesOf(document: Document, place: (offset: number) => string): unknown {
  try {
    const content: unknown = document.toJS({ maxAliasCount: 1_000 });
    JSON.stringify(content);
    return content;
  } catch (cause) {
    let first = 0;
    visit(document, {
      Alias(_, alias) {
        first = alias.range?.[0] ?? 0;
        return visit.BREAK;
      },
    });
    throw new Error(
      `${place(first)}: aliases (*name) may not hold themselves, and not stand for more than 1000 values`,
      { cause },
    );
  }
}

/** The node at the end of the way, or where the way ends: what is missing has no position itself. */
function offsetOf(root: Node, steps: readonly string[]): number {
  let node = root;
  let offset = node.range?.[0] ?? 0;
  for (const step of steps) {
    if (!isCollection(node)) break;
    const pair = isMap(node)
      ? node.items.find((item) => isPair(item) && String(item.key) === step)
      : undefined;
    const next: unknown = pair === undefined ? node.get(Number(step), true) : pair.value;
    const key: unknown = pair?.key;
    const found = isNode(next) && next.range ? next : isNode(key) ? key : undefined;
    if (found === undefined) break;
    offset = found.range?.[0] ?? offset;
    if (!isNode(next)) break;
    node = next;
  }
  return offset;
}

function unescapePointer(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** The values that are numbers or truths; all others are texts. */
const NOT_TEXT = new Set(['coa_port', 'devices', 'disabled']);

/** The user name 0712345678 and the password 123456 are texts, although YAML takes them for numbers. */
function keepTextAsWritten(document: Document): void {
  visit(document, {
    Pair(_, { key, value }) {
      if (!isScalar(value) || value.value === null || value.source === undefined) return;
      if (typeof value.value !== 'string' && !NOT_TEXT.has(String(key))) value.value = value.source;
    },
  });
}

// evergate.yaml → key, text and position of each value. What a value means is for config.ts to say.

import { readFileSync } from 'node:fs';
import { LineCounter, isAlias, isMap, isScalar, parseDocument } from 'yaml';
import type { Node, Pair } from 'yaml';
import { ConfigError } from './error.ts';
import { KEY_NAMES } from './keys.ts';
import type { KeyName } from './keys.ts';
import { nearest } from './nearest.ts';

export type FileValue = { text: string; at: string };

/** `at` is `evergate.yaml:3:9`. */
export function readConfigFile(path: string): Map<KeyName, FileValue> {
  return parseConfigFile(readText(path), path);
}

function parseConfigFile(source: string, path: string): Map<KeyName, FileValue> {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };

  const [syntaxError] = document.errors;
  if (syntaxError !== undefined) {
    const sentence = syntaxError.message.split('\n', 1)[0] ?? '';
    throw new ConfigError(`${place(syntaxError.pos[0])}: this is not valid YAML: ${sentence}`);
  }

  const values = new Map<KeyName, FileValue>();
  if (document.contents === null) return values;
  readSection(document.contents, '');
  return values;

  function readSection(node: Node, prefix: string) {
    const at = place(node.range?.[0] ?? 0);
    if (!isMap(node)) {
      const what = prefix === '' ? 'the file' : prefix.slice(0, -1);
      const example = KEY_NAMES.find((key) => key.startsWith(prefix)) ?? '';
      throw new ConfigError(
        `${at}: ${what} must hold keys with values, such as ${example.slice(prefix.length)}`,
      );
    }
    for (const pair of node.items) readPair(pair as Pair<Node, Node | null>, prefix);
  }

  function readPair(pair: Pair<Node, Node | null>, prefix: string) {
    const at = place(pair.key.range?.[0] ?? 0);
    const key = prefix + (isScalar(pair.key) ? String(pair.key.value) : '?');
    const isSection = KEY_NAMES.some((name) => name.startsWith(`${key}.`));

    if (isSection) {
      const isEmpty = pair.value === null || (isScalar(pair.value) && pair.value.value === null);
      if (!isEmpty && pair.value !== null) readSection(pair.value, `${key}.`);
      return;
    }
    const name = KEY_NAMES.find((candidate) => candidate === key);
    if (name === undefined) throw new ConfigError(`${at}: ${unknownKey(key)}`);
    if (!isScalar(pair.value) || pair.value.value === null) {
      const what = isAlias(pair.value)
        ? 'an alias'
        : pair.value === null || isScalar(pair.value)
          ? 'no value'
          : 'more than one value';
      throw new ConfigError(`${at}: ${key} has ${what}; write one value after it, or leave it out`);
    }
    const { value, source = '' } = pair.value;
    const text = typeof value === 'string' ? value : source;
    values.set(name, { text, at: place(pair.value.range?.[0] ?? 0) });
  }
}

function unknownKey(key: string): string {
  const sections = KEY_NAMES.map((name) => name.split('.').slice(0, -1).join('.'));
  const meant = nearest(key, [...KEY_NAMES, ...new Set(sections.filter((name) => name !== ''))]);
  const advice =
    meant === undefined ? '`evergate config` lists the keys there are.' : `Did you mean ${meant}?`;
  return `${key} is not a key that Evergate knows. ${advice}`;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`the configuration file ${path} cannot be read`, { cause: error });
  }
}

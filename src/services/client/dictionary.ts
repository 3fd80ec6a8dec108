// The names of attributes: those we come with, and an operator's own (`radius.dictionary`).

import { readFileSync } from 'node:fs';
import { createDictionary } from '../../protocols/radius/dictionary.ts';
import type { Dictionary } from '../../protocols/radius/dictionary.ts';
import { standardDictionary, standardTables } from '../../protocols/radius/dictionary/standard.ts';
import { parseFreeradiusDictionary } from '../../protocols/radius/freeradius-dictionary.ts';

export type { Dictionary } from '../../protocols/radius/dictionary.ts';

/** `file` is in the format of FreeRADIUS. Throws with the file and line of what it cannot read. */
export function loadDictionary(file: string | undefined): Dictionary {
  if (file === undefined) return standardDictionary;
  const { tables, problems } = parseFreeradiusDictionary(file, readIfThere);
  const [problem] = problems;
  if (problem !== undefined) {
    const where = problem.line === 0 ? problem.file : `${problem.file}:${String(problem.line)}`;
    throw new Error(`radius.dictionary: ${where}: ${problem.message}`);
  }
  return createDictionary([...standardTables, ...tables]);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

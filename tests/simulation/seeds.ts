// Runs a scenario from many seeds, until one of its worlds complains. EVERGATE_SEED=n runs that seed
// alone; EVERGATE_MORE_SEEDS=20 lives through so many times more worlds, for a night.

/** Lets a world happen and returns what went wrong in it. */
export type Scenario = (seed: number) => Promise<readonly string[]>;

/** Of the first world that has any, with the seed that shows it again. */
export async function complaintsFrom(count: number, scenario: Scenario): Promise<string[]> {
  for (const seed of seeds(count)) {
    const complaints = await run(scenario, seed);
    if (complaints.length > 0) return complaints.map((each) => `EVERGATE_SEED=${seed} ${each}`);
  }
  return [];
}

async function run(scenario: Scenario, seed: number): Promise<readonly string[]> {
  try {
    return await scenario(seed);
  } catch (error) {
    throw new Error(`the world of EVERGATE_SEED=${seed} came to a halt`, { cause: error });
  }
}

function seeds(count: number): number[] {
  const only = process.env['EVERGATE_SEED'];
  if (only !== undefined) return [Number(only)];
  const times = Number(process.env['EVERGATE_MORE_SEEDS'] ?? 1);
  return Array.from({ length: count * times }, (_, i) => i + 1);
}

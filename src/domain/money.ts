// Money is an integer of minor units and an ISO 4217 currency: never a fraction, never a guess.

export type Money = { minorUnits: bigint; currency: string };

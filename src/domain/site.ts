// A site is a place with routers: a café, a village, a building.

/** What the routers of a site do when everything central is away. */
export const OUTAGE_POLICIES = ['closed', 'basic', 'open'] as const;
export type OutagePolicy = (typeof OUTAGE_POLICIES)[number];

export type Site = {
  id: string;
  name: string;
  /** IANA name, such as `Africa/Kampala`. */
  timezone: string;
  outage: OutagePolicy;
};

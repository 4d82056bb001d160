// Which templates go into one call. WeChat takes five at most (three in older versions), of one type, and drops equal titles.
// Used by `subscribe`.

import type { Reason } from "./faults.js";

/** What is known of a template: Hongyan's `/ask` tells it, or the team writes it down. */
export interface Template {
  template_id: string;
  title?: string;
  type?: "one_time" | "long_term";
}

/** What one tap can ask for. */
export interface Plan {
  /** For this call. */
  now: string[];
  /** For the next tap: another type, or beyond the limit. */
  left: string[];
  /** Why nothing can be asked for. */
  reason?: Reason;
}

/** Sorts ids into this call and the next; the first decides the type. */
export function plan(wanted: string[], known: Template[], max: number): Plan {
  const byId: { [id: string]: Template } = {};
  known.forEach((template) => {
    byId[template.template_id] = template;
  });
  const ids = wanted.filter((id, at) => id && wanted.indexOf(id) === at);
  if (!ids.length) return { now: [], left: [], reason: "no_ids" };
  if (ids.some((id) => typeof id !== "string")) return { now: [], left: [], reason: "bad_id" };
  const typeOf = (id: string) => (byId[id] || {}).type;
  const type = ids.map(typeOf).filter(Boolean)[0];
  const fits = (id: string) => !typeOf(id) || typeOf(id) === type;
  const same = ids.filter(fits);
  const now = same.slice(0, max);
  const titles = now.map((id) => (byId[id] || {}).title).filter(Boolean);
  if (titles.some((title, at) => titles.indexOf(title) !== at)) return { now: [], left: ids, reason: "same_title" };
  return { now, left: ids.filter((id) => now.indexOf(id) < 0) };
}

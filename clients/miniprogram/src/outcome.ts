// What the user decided, in one shape whatever WeChat's version says. Used by `subscribe`.

/** One template's result. `other` is a word that is not documented. */
export type Result = "accept" | "reject" | "ban" | "filter" | "other";

/** The answer to one request. */
export interface Outcome {
  /** Template id to result. */
  results: { [templateId: string]: Result };
  /** The user allows a message of these. */
  accepted: string[];
  /** The user does not. */
  rejected: string[];
  /** WeChat banned the template. */
  banned: string[];
  /** Dropped by WeChat: another of the same title was asked for. */
  filtered: string[];
  /** Not asked for in this call: see `Plan.left`. */
  left: string[];
  /** Names this act of the user: reported twice, it counts once. */
  actId: string;
}

/** Puts an answer of `requestSubscribeMessage` in order. */
export function normalise(raw: { [key: string]: unknown }, left: string[], actId: string): Outcome {
  const outcome: Outcome = { results: {}, accepted: [], rejected: [], banned: [], filtered: [], left, actId };
  const lists: { [result in Result]?: string[] } = {
    accept: outcome.accepted,
    reject: outcome.rejected,
    ban: outcome.banned,
    filter: outcome.filtered,
  };
  Object.keys(raw).forEach((id) => {
    const word = raw[id];
    if (id === "errMsg" || id === "errCode" || typeof word !== "string") return;
    // acceptWithAudio, acceptWithAlert: accepted too.
    const result = (/^accept/.test(word) ? "accept" : /^(reject|ban|filter)$/.test(word) ? word : "other") as Result;
    outcome.results[id] = result;
    const list = lists[result];
    if (list) list.push(id);
  });
  return outcome;
}

/** A name for an act: nobody need guess it, two must not be equal. */
export function newActId(): string {
  const part = () => Math.random().toString(36).slice(2, 12);
  return Date.now().toString(36) + "-" + part() + part();
}

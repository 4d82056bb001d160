// The request itself. It must be called in a tap and reach WeChat without leaving it, so nothing here waits before the call.

import { SubscribeError, explain, type Lang } from "./faults.js";
import { answer, findHost, type Callbacks, type Host } from "./host.js";
import { newActId, normalise, type Outcome } from "./outcome.js";
import { plan, type Template } from "./plan.js";

/** How to ask. */
export interface SubscribeOptions extends Callbacks<Outcome, SubscribeError> {
  /** What is known of the templates: then types are kept apart and equal titles refused. */
  templates?: Template[];
  /** Templates of one call, 5 unless given. */
  max?: number;
  /** `wx` or `uni`, found unless given. */
  host?: Host;
  /** Of the explanations; zh unless given. */
  lang?: Lang;
}

/** What an older WeChat takes. */
const OLDER = 3;

let busy = false;
let learned = 5;

/** Asks the user. Call it first thing in a tap handler, or in the callback of a payment. */
export function subscribe(templateIds: string | string[], options: SubscribeOptions & { success: (outcome: Outcome) => void }): undefined;
export function subscribe(templateIds: string | string[], options?: SubscribeOptions): Promise<Outcome>;
export function subscribe(templateIds: string | string[], options: SubscribeOptions = {}): Promise<Outcome> | undefined {
  return answer(request(([] as string[]).concat(templateIds), options), options);
}

export function request(ids: string[], options: SubscribeOptions): Promise<Outcome> {
  const lang = options.lang || "zh";
  const host = options.host || findHost();
  return new Promise((resolve, reject) => {
    const no = (error: SubscribeError) => {
      busy = false;
      reject(error);
    };
    if (!host.requestSubscribeMessage) return reject(new SubscribeError("unsupported", lang));
    if (busy) return reject(new SubscribeError("busy", lang));
    const ask = (max: number, before?: SubscribeError) => {
      const { now, left, reason } = plan(ids, options.templates || [], max);
      if (reason) return no(new SubscribeError(reason, lang));
      const done = (raw: { [key: string]: unknown }) => {
        busy = false;
        resolve(normalise(raw, left, newActId()));
      };
      const failed = (failure: unknown) => {
        const error = explain(failure, lang);
        if (error.reason === "too_many" && now.length > OLDER) {
          // An older WeChat: fewer from now on, and at once where the tap still holds.
          learned = OLDER;
          return ask(OLDER, error);
        }
        // The tap was over by then: the first failure tells more.
        no(before && error.reason === "no_tap" ? before : error);
      };
      try {
        host.requestSubscribeMessage!({ tmplIds: now, success: done, fail: failed });
      } catch (failure) {
        failed(failure);
      }
    };
    busy = true;
    ask(Math.min(options.max || learned, learned));
  });
}

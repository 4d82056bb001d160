// What the package gives: the request alone (`subscribe`), and with a Hongyan server (`createHongyan`).

import { SubscribeError, explain, type Lang, type Reason } from "./faults.js";
import { answer, findHost, type Callbacks, type Host } from "./host.js";
import type { Outcome, Result } from "./outcome.js";
import { plan, type Plan, type Template } from "./plan.js";
import { Server, type Ask } from "./server.js";
import { leadToSettings, readSettings, type Guidance, type Settings } from "./settings.js";
import { request, subscribe, type SubscribeOptions } from "./subscribe.js";

export { SubscribeError, explain, plan, subscribe };
export type { Ask, Callbacks, Guidance, Host, Lang, Outcome, Plan, Reason, Result, Settings, SubscribeOptions, Template };

/** How the kit finds its server and its user. */
export interface Options {
  /** Where Hongyan is reached from the outside, such as `https://push.example.com`. */
  baseUrl: string;
  /** The mini program's AppID; its own unless given. */
  appId?: string;
  /** Gets a session token from the team's own back end, which has it from `POST /api/v1/apps/{appid}/mp-sessions`. */
  session?: () => Promise<string> | string;
  /**
   * Instead: let Hongyan log the user in. It calls `wx.login`, after which the session_key that the team's own server
   * keeps may be invalid; so only for teams without a login of their own.
   */
  login?: boolean;
  /** `auto` (as the server says), `always`, `never`. */
  report?: "auto" | "always" | "never";
  lang?: Lang;
  max?: number;
  host?: Host;
}

export interface Hongyan {
  /** Fetches the templates to ask for: call it when the page opens, so that the tap finds them. Only of these ids, if given. */
  ready(templateIds?: string[]): Promise<Ask>;
  /** What was fetched last. */
  readonly ask: Ask | undefined;
  /** Asks the user for these, or for what was fetched. Call it first thing in a tap handler. */
  subscribe(templateIds?: string | string[] | null, callbacks?: Callbacks<Outcome, SubscribeError>): Promise<Outcome> | undefined;
  /** The user's settings. */
  settings(): Promise<Settings>;
  /** Leads to the settings page. */
  guide(guidance?: Guidance): Promise<Settings | null>;
}

/** The kit with a server behind it. */
export function createHongyan(options: Options): Hongyan {
  const host = options.host || findHost();
  const lang = options.lang || "zh";
  const account = options.appId || !host.getAccountInfoSync ? {} : host.getAccountInfoSync();
  const appId = options.appId || (account.miniProgram || {}).appId || "";
  const server: Server = new Server({ host, baseUrl: options.baseUrl, appId, session: options.session || login });
  let ask: Ask | undefined;

  function login(): Promise<string> {
    return new Promise<string>((resolve, reject) => {
      const { login } = host;
      if (!options.login || !login) return reject(new Error("createHongyan needs `session` or `login: true`"));
      login({
        success: ({ code }) => server.send("POST", "/login", { code }).then(({ session }) => resolve(session), reject),
        fail: reject,
      });
    });
  }

  function told(outcome: Outcome): Outcome {
    if (ask) {
      // Until the next `ready`, the same tap must not ask for the same again.
      const { template_ids } = ask;
      ask = { ...ask, template_ids: template_ids.filter((id) => outcome.accepted.indexOf(id) < 0) };
    }
    const mode = options.report || "auto";
    if (mode === "always" || (mode === "auto" && (!ask || ask.report))) server.report(outcome);
    return outcome;
  }

  function run(templateIds?: string | string[] | null): Promise<Outcome> {
    const ids = templateIds ? ([] as string[]).concat(templateIds) : ask && ask.template_ids;
    if (!ids) return Promise.reject(new SubscribeError("not_ready", lang));
    if (!ids.length && !templateIds) return Promise.reject(new SubscribeError("nothing_to_ask", lang));
    const known = ask ? ask.templates : [];
    const how: SubscribeOptions = { host, lang, templates: known };
    if (options.max) how.max = options.max;
    return request(ids, how).then(told);
  }

  return {
    get ask() {
      return ask;
    },
    ready: (templateIds) => {
      server.flush();
      return server.ask(templateIds).then((answered) => (ask = answered));
    },
    subscribe: (templateIds, callbacks) => answer(run(templateIds), callbacks),
    settings: () => readSettings(host, lang),
    guide: (guidance) => leadToSettings(host, lang, guidance),
  };
}

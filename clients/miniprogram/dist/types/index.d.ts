import { SubscribeError, explain, type Lang, type Reason } from "./faults.js";
import { type Callbacks, type Host } from "./host.js";
import type { Outcome, Result } from "./outcome.js";
import { plan, type Plan, type Template } from "./plan.js";
import { type Ask } from "./server.js";
import { type Guidance, type Settings } from "./settings.js";
import { subscribe, type SubscribeOptions } from "./subscribe.js";
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
export declare function createHongyan(options: Options): Hongyan;

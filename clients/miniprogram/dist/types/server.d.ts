import type { Host } from "./host.js";
import type { Outcome } from "./outcome.js";
import type { Template } from "./plan.js";
/** What `/ask` answers. */
export interface Ask {
    /** To be asked for now: at most five, of one type. May be empty. */
    template_ids: string[];
    /** The templates that may be asked for. */
    templates: Template[];
    /** Whether the server wants to be told of decisions: not where WeChat's own events reach it. */
    report: boolean;
}
export interface ServerOptions {
    host: Host;
    baseUrl: string;
    appId: string;
    /** Gets a session token: from the team's own back end, or by `wx.login`. */
    session: () => Promise<string> | string;
}
export declare class Server {
    private readonly options;
    private token;
    constructor(options: ServerOptions);
    ask(templateIds?: string[]): Promise<Ask>;
    /** Keeps an act and reports it; what fails is tried again, also after a restart. */
    report(outcome: Outcome): Promise<void>;
    /** Reports what is kept, the oldest first. */
    flush(tried?: number): Promise<void>;
    private drop;
    private call;
    send(method: string, path: string, data?: unknown, token?: string): Promise<any>;
    private place;
    private kept;
    private memory;
    private keep;
}

// What Hongyan's server is asked for and told: the session, the templates to ask for, the report of an act. Used by `index`.

import type { Host } from "./host.js";
import type { Outcome, Result } from "./outcome.js";
import type { Template } from "./plan.js";

// Every mini program has it; which typings say so differs.
declare function setTimeout(run: () => void, milliseconds: number): unknown;

/** What `/ask` answers. */
export interface Ask {
  /** To be asked for now: at most five, of one type. May be empty. */
  template_ids: string[];
  /** The templates that may be asked for. */
  templates: Template[];
  /** Whether the server wants to be told of decisions: not where WeChat's own events reach it. */
  report: boolean;
}

/** An act that the server has not confirmed. */
interface Act {
  act_id: string;
  results: { [templateId: string]: Result };
  at: number;
}

export interface ServerOptions {
  host: Host;
  baseUrl: string;
  appId: string;
  /** Gets a session token: from the team's own back end, or by `wx.login`. */
  session: () => Promise<string> | string;
}

/** Acts kept for later at most. */
const KEPT = 20;
/** Milliseconds until a failed report is tried again, in this run. */
const AGAIN = [2000, 10000];

export class Server {
  private token: Promise<string> | undefined;

  constructor(private readonly options: ServerOptions) {}

  ask(templateIds?: string[]): Promise<Ask> {
    const only = templateIds && templateIds.length ? "?template_ids=" + templateIds.map(encodeURIComponent).join(",") : "";
    return this.call("GET", "/ask" + only) as Promise<Ask>;
  }

  /** Keeps an act and reports it; what fails is tried again, also after a restart. */
  report(outcome: Outcome): Promise<void> {
    this.keep(this.kept().concat({ act_id: outcome.actId, results: outcome.results, at: Date.now() }).slice(-KEPT));
    return this.flush();
  }

  /** Reports what is kept, the oldest first. */
  flush(tried = 0): Promise<void> {
    const act = this.kept()[0];
    if (!act) return Promise.resolve();
    const age_seconds = Math.max(0, Math.round((Date.now() - act.at) / 1000));
    return this.call("POST", "/report", { act_id: act.act_id, results: act.results, age_seconds }).then(
      () => this.drop(act),
      (failure: { status?: number }) => {
        // What the server will never take is not told again.
        const never = failure.status && failure.status >= 400 && failure.status < 500;
        if (never && failure.status !== 401 && failure.status !== 429) return this.drop(act);
        const wait = AGAIN[tried];
        if (wait !== undefined) setTimeout(() => this.flush(tried + 1), wait);
        return undefined;
      },
    );
  }

  private drop(act: Act): Promise<void> {
    this.keep(this.kept().filter((one) => one.act_id !== act.act_id));
    return this.flush();
  }

  private call(method: string, path: string, data?: unknown, renewed = false): Promise<unknown> {
    if (!this.token) this.token = Promise.resolve().then(this.options.session);
    const asked = this.token;
    return asked.then(
      (token) =>
        this.send(method, path, data, token).catch((failure) => {
          if (failure.status !== 401 || renewed) throw failure;
          if (this.token === asked) this.token = undefined;
          return this.call(method, path, data, true);
        }),
      (failure) => {
        if (this.token === asked) this.token = undefined;
        throw failure;
      },
    );
  }

  send(method: string, path: string, data?: unknown, token?: string): Promise<any> {
    const { host, baseUrl, appId } = this.options;
    const header: { [name: string]: string } = { "content-type": "application/json" };
    if (token) header["authorization"] = "Bearer " + token;
    return new Promise((resolve, reject) => {
      if (!host.request) return reject(new Error("no request"));
      host.request({
        url: baseUrl.replace(/\/+$/, "") + "/mp/" + appId + path,
        method,
        data,
        header,
        success: (answer: { statusCode: number; data: any }) => {
          if (answer.statusCode >= 200 && answer.statusCode < 300) return resolve(answer.data);
          const problem = answer.data || {};
          const error: any = new Error(problem.detail || "HTTP " + answer.statusCode);
          error.status = answer.statusCode;
          error.code = problem.code;
          reject(error);
        },
        fail: reject,
      });
    });
  }

  private place(): string {
    return "hongyan.acts." + this.options.appId;
  }

  private kept(): Act[] {
    const { host } = this.options;
    try {
      return this.memory || (host.getStorageSync && host.getStorageSync(this.place())) || [];
    } catch {
      return [];
    }
  }

  private memory: Act[] | undefined;

  private keep(acts: Act[]): void {
    const { host } = this.options;
    try {
      if (host.setStorageSync) {
        host.setStorageSync(this.place(), acts);
        this.memory = undefined;
        return;
      }
    } catch {
      // The storage is full: kept while the mini program runs.
    }
    this.memory = acts;
  }
}

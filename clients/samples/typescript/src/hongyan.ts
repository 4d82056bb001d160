// Hongyan from Node.js 20 or newer (its own fetch, no dependencies): the calls a back end needs, with their types.

import { createHmac, timingSafeEqual } from "node:crypto";

export type State =
  | "scheduled" | "queued" | "sending" | "accepted" | "delivered" | "undelivered" | "refused"
  | "failed" | "unknown" | "expired" | "cancelled" | "skipped";

export interface Session { session: string; expires_in: number; expires_at: string }

export interface Ask {
  template_ids: string[];
  templates: { template_id: string; title: string; type: "one_time" | "long_term"; ask: boolean; reason: string }[];
  report: boolean;
}

export interface MessageRequest {
  to: string | { external_id: string } | { attribute: Record<string, string> };
  template_id: string;
  data: Record<string, string | number>;
  page?: string;
  send_at?: string;
  expire_at?: string;
  priority?: "urgent" | "normal" | "bulk";
  on_empty_balance?: "try" | "refuse";
}

export interface Message {
  id: string;
  state: State;
  errcode: number | null;
  explanation: string;
  msgid: string | null;
  attempts: { at: string; errcode: number | null; errmsg: string | null; ambiguous: boolean }[];
  receipt: { at: string; error_code: number; error_status: string } | null;
}

export interface Subscription {
  openid: string;
  template_id: string;
  type: "one_time" | "long_term";
  status: "accept" | "reject" | "unknown";
  balance: number;
  available: number;
}

export interface FieldError { pointer: string; code: string; detail: string }

/** An answer of RFC 9457: a stable `code` for programs, a `detail` for people, `errors` with each wrong field. */
export class Problem extends Error {
  constructor(readonly status: number, readonly code: string, detail: string, readonly errors: FieldError[]) {
    super(`${status} ${code}: ${detail}`);
    this.name = "Problem";
  }

  static async of(answer: Response): Promise<Problem> {
    // A proxy's page is no problem of Hongyan's.
    const body = (await answer.json().catch(() => ({}))) as Partial<Record<"code" | "detail", string>> & { errors?: FieldError[] };
    return new Problem(answer.status, body.code ?? "unknown", body.detail ?? "", body.errors ?? []);
  }
}

/** What may be repeated: the service is not there, is starting, or asks for patience. 可以重试的状态码。 */
const AGAIN = new Set([429, 502, 503, 504]);
/** States in which something is still to come. 尚未结束的状态。 */
const UNDER_WAY = new Set<State>(["scheduled", "queued", "sending"]);

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

export class Hongyan {
  constructor(
    readonly url: string,
    readonly key: string,
    readonly appId: string,
    readonly attempts = 5,
    readonly timeout = 15_000,
  ) {}

  /** A session for a user whom you have logged in: hand it to the mini program. 把会话交给小程序使用。 */
  async session(openid: string): Promise<Session> {
    return (await this.api<Session>("POST", "/mp-sessions", { openid })).body;
  }

  /** What the mini program asks with it: which templates to request now. 小程序端用会话查询该请求哪些模板。 */
  async ask(session: string): Promise<Ask> {
    return (await this.call<Ask>("GET", `/mp/${this.appId}/ask`, session)).body;
  }

  /**
   * Sends one message. `key` names the business event (a bill's number), so that repeating the call sends nothing twice.
   * key 取业务单号：网络出错时可放心重试，不会重复发送。
   */
  async send(message: MessageRequest, key: string): Promise<{ message: Message; replayed: boolean }> {
    const { body, headers } = await this.api<Message>("POST", "/messages", message, { "idempotency-key": key });
    return { message: body, replayed: headers.get("idempotent-replayed") === "true" };
  }

  /** One message with its state, its attempts and its receipt. */
  async message(id: string): Promise<Message> {
    return (await this.api<Message>("GET", `/messages/${id}`)).body;
  }

  /** The message once it is no longer under way. Webhooks tell without asking. 也可用 webhook 代替轮询。 */
  async settled(id: string, ms = 30_000): Promise<Message> {
    const deadline = Date.now() + ms;
    for (;;) {
      const message = await this.message(id);
      if (!UNDER_WAY.has(message.state) || Date.now() > deadline) return message;
      await pause(300);
    }
  }

  /** How many messages this user may still be sent, by template. 该用户各模板的剩余次数。 */
  async subscriptions(openid: string): Promise<Subscription[]> {
    const query = new URLSearchParams({ openid });
    return (await this.api<{ items: Subscription[] }>("GET", `/subscriptions?${query}`)).body.items;
  }

  private api<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    return this.call<T>(method, `/api/v1/apps/${this.appId}${path}`, this.key, body, headers);
  }

  private async call<T>(method: string, path: string, bearer: string, body?: unknown, more: Record<string, string> = {}) {
    const headers = {
      authorization: `Bearer ${bearer}`,
      "accept-language": "zh-CN",
      "content-type": "application/json",
      ...more,
    };
    // Without its key a POST could happen twice.
    const repeatable = method === "GET" || "idempotency-key" in more;
    for (let attempt = 1; ; attempt++) {
      const last = attempt === this.attempts || !repeatable;
      let wait = 200 * 2 ** attempt * (0.5 + Math.random() / 2);
      try {
        const answer = await fetch(this.url.replace(/\/$/, "") + path, {
          method,
          headers,
          signal: AbortSignal.timeout(this.timeout),
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        if (answer.ok) return { body: (await answer.json()) as T, headers: answer.headers };
        const problem = await Problem.of(answer);
        if (last || !AGAIN.has(answer.status)) throw problem;
        wait = Math.max(wait, Math.min(Number(answer.headers.get("retry-after")) || 0, 60) * 1000);
      } catch (error) {
        // No answer, or half of one: it may have happened all the same. 结果未知，带着同一个 key 重试。
        if (error instanceof Problem || last) throw error;
        console.error("retry    ", error instanceof Error ? error.message : error);
      }
      await pause(wait);
    }
  }
}

/** Whether a webhook is Hongyan's and fresh (Standard Webhooks); `body` is what came, byte for byte. */
export function verified(
  secret: string,
  headers: { id: string; timestamp: string; signature: string },
  body: Buffer,
  now = Date.now(),
): boolean {
  const at = Number(headers.timestamp);
  if (!Number.isInteger(at) || Math.abs(now / 1000 - at) > 300) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const hmac = createHmac("sha256", key).update(`${headers.id}.${headers.timestamp}.`).update(body);
  const right = Buffer.from(`v1,${hmac.digest("base64")}`);
  // Two signatures while a secret is being changed. 轮换密钥期间会有两个签名。
  return headers.signature.split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === right.length && timingSafeEqual(given, right);
  });
}

// A `wx` for tests: it answers what the test says, and writes down how it was called.

import type { Host } from "../src/index.js";

export interface Script {
  /** The answer of requestSubscribeMessage by call; a failure where it has `errMsg` with `:fail`. */
  popups?: unknown[];
  setting?: unknown;
  confirm?: boolean;
  /** Answers of request, by call; the last one again and again. */
  answers?: { statusCode: number; data?: unknown }[];
  code?: string;
  storage?: { [key: string]: unknown };
}

export interface Fake extends Host {
  asked: string[][];
  requests: { url: string; method: string; data: any; header: { [name: string]: string } }[];
  opened: number;
  logins: number;
  storage: { [key: string]: any };
}

export function fakeWx(script: Script = {}): Fake {
  const { popups = [], answers = [{ statusCode: 200, data: {} }] } = script;
  const fake: Fake = {
    asked: [],
    requests: [],
    opened: 0,
    logins: 0,
    storage: (script.storage ?? {}) as { [key: string]: any },
    requestSubscribeMessage({ tmplIds, success, fail }) {
      const answer = popups[fake.asked.length] as { errMsg?: string } | undefined;
      fake.asked.push(tmplIds);
      if (answer?.errMsg?.includes(":fail")) return void Promise.resolve().then(() => fail?.(answer));
      const accepted = Object.fromEntries(tmplIds.map((id) => [id, "accept"]));
      Promise.resolve().then(() => success?.({ errMsg: "requestSubscribeMessage:ok", ...(answer ?? accepted) }));
    },
    getSetting: ({ success }) => void success?.(script.setting ?? { authSetting: {} }),
    openSetting: ({ success }) => {
      fake.opened += 1;
      success?.({});
    },
    showModal: ({ success }) => void success?.({ confirm: script.confirm ?? true, cancel: !(script.confirm ?? true) }),
    login: ({ success }) => {
      fake.logins += 1;
      success?.({ code: script.code ?? "code", errMsg: "login:ok" });
    },
    request: ({ url, method, data, header, success, fail }) => {
      const answer = answers[Math.min(fake.requests.length, answers.length - 1)];
      fake.requests.push({ url, method, data, header });
      Promise.resolve().then(() => (answer ? success(answer) : fail({ errMsg: "request:fail timeout" })));
    },
    getStorageSync: (key) => fake.storage[key] ?? "",
    setStorageSync: (key, data) => {
      fake.storage[key] = data;
    },
    getAccountInfoSync: () => ({ miniProgram: { appId: "wxfake" } }),
  };
  return fake;
}

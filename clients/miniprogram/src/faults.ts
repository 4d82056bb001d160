// Why a request for permission failed, and what to do: WeChat's numbers and sentences in words. Used by `subscribe`.
// Source of the numbers: official page "wx.requestSubscribeMessage", section "错误码".

export type Lang = "zh" | "en";

/** A word for each way to fail; it does not change with WeChat's texts. */
export type Reason =
  | "no_ids"
  | "list_unavailable"
  | "submit_failed"
  | "bad_id"
  | "in_background"
  | "unknown_template"
  | "mixed_types"
  | "too_many"
  | "main_switch_off"
  | "banned"
  | "device_template"
  | "no_tap"
  | "busy"
  | "same_title"
  | "unsupported"
  | "not_ready"
  | "nothing_to_ask"
  | "unknown";

/** zh meaning, zh remedy, en meaning, en remedy. */
type Words = [string, string, string, string];

const WORDS: { [reason in Reason]: Words } = {
  no_ids: ["没有模板 ID", "传入至少一个模板 ID", "no template ids", "pass at least one template id"],
  list_unavailable: ["取模板信息时网络出错", "检查网络后请用户再点一次", "the network failed while templates were read", "ask the user to tap again"],
  submit_failed: ["提交用户的选择时网络出错", "检查网络后请用户再点一次", "the network failed while the choice was submitted", "ask the user to tap again"],
  bad_id: ["模板 ID 类型不对", "模板 ID 必须是字符串", "a template id is not a string", "pass strings"],
  in_background: ["小程序在后台，无法弹窗", "等回到前台，在点击中再调用", "the mini program is in the background", "call again from a tap in the foreground"],
  unknown_template: ["模板不存在，或不属于本小程序", "核对模板 ID，并确认没有被删除", "the template does not exist in this mini program", "check the id, and that it was not deleted"],
  mixed_types: ["一次性与长期订阅模板不能一起请求", "分两次点击请求", "one-time and long-term templates cannot be asked for together", "ask for them in two taps"],
  too_many: ["一次请求的模板过多", "一次最多 5 个，旧版微信最多 3 个", "too many templates at once", "at most 5, and 3 in older versions of WeChat"],
  main_switch_off: ["用户关闭了订阅消息的总开关", "引导用户在设置中打开", "the user switched subscribe messages off", "lead the user to the settings page"],
  banned: ["小程序的订阅消息能力被封禁", "在微信公众平台查看处罚通知", "WeChat banned this mini program from subscribe messages", "see the notices in WeChat's console"],
  device_template: ["这里不能使用设备模板", "改用 requestSubscribeDeviceMessage", "device templates cannot be used here", "use requestSubscribeDeviceMessage"],
  no_tap: [
    "只能在用户点击中调用",
    "在 bindtap 或支付回调中直接调用；模板 ID 在点击前取好，不要放进 setTimeout",
    "it was not called from a tap",
    "call it directly in the tap handler or payment callback, with ids fetched before, never in setTimeout",
  ],
  busy: ["上一次请求还没有结束", "等它结束，并在其间禁用按钮", "the last request has not ended", "wait for it, with the button disabled"],
  same_title: ["模板标题相同，微信只会保留一个", "一次只请求其中一个", "templates of equal title: WeChat keeps only one", "ask for one of them at a time"],
  unsupported: ["当前环境没有 requestSubscribeMessage", "需要微信小程序，基础库 2.4.4 以上", "this environment has no requestSubscribeMessage", "run in a WeChat mini program, base library 2.4.4 or later"],
  not_ready: ["还没有取到要请求的模板", "进入页面时先调用 ready()", "the templates to ask for are not there yet", "call ready() when the page opens"],
  nothing_to_ask: ["现在没有需要请求的模板", "隐藏订阅按钮即可", "there is nothing to ask for now", "hide the button"],
  unknown: ["请求订阅失败", "查看 errMsg", "the request failed", "see errMsg"],
};

const BY_CODE: { [code: number]: Reason } = {
  10001: "no_ids",
  10002: "list_unavailable",
  10003: "submit_failed",
  10004: "bad_id",
  10005: "in_background",
  20001: "unknown_template",
  20002: "mixed_types",
  20003: "too_many",
  20004: "main_switch_off",
  20005: "banned",
  20013: "device_template",
};

/** A failure with its meaning and its remedy. */
export class SubscribeError extends Error {
  /** A stable word. */
  reason: Reason;
  /** WeChat's number, where it gave one. */
  errCode: number | undefined;
  /** WeChat's own text. */
  errMsg: string;
  /** What it means. */
  meaning: string;
  /** What to do. */
  remedy: string;
  /** Whether the settings page is the way out: see `guide`. */
  settings: boolean;

  constructor(reason: Reason, lang: Lang, errMsg = "", errCode?: number) {
    const words = WORDS[reason];
    const at = lang === "en" ? 2 : 0;
    super(words[at] + (lang === "en" ? "; " : "；") + words[at + 1]);
    this.name = "SubscribeError";
    this.reason = reason;
    this.errCode = errCode;
    this.errMsg = errMsg;
    this.meaning = words[at] as string;
    this.remedy = words[at + 1] as string;
    this.settings = reason === "main_switch_off";
  }
}

/** What a failure of `requestSubscribeMessage` means. Takes what `fail` was called with. */
export function explain(failure: unknown, lang: Lang = "zh"): SubscribeError {
  if (failure instanceof SubscribeError) return failure;
  const given = (failure || {}) as { errMsg?: unknown; errCode?: unknown; message?: unknown };
  const errMsg = String(given.errMsg || given.message || (typeof failure === "string" ? failure : ""));
  // Some versions give the number as text.
  const errCode = given.errCode === undefined ? undefined : Number(given.errCode);
  return new SubscribeError(reasonOf(errMsg, errCode), lang, errMsg, errCode);
}

function reasonOf(errMsg: string, errCode: number | undefined): Reason {
  const known = errCode === undefined ? undefined : BY_CODE[errCode];
  if (known) return known;
  if (/TAP gesture/i.test(errMsg)) return "no_tap";
  if (/last call has not ended/i.test(errMsg)) return "busy";
  if (/not (a function|supported)|no such api/i.test(errMsg)) return "unsupported";
  return "unknown";
}

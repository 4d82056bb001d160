/* hongyan-subscribe 0.1.0 | MIT OR Apache-2.0 */
var __defProp = Object.defineProperty;
var __defProps = Object.defineProperties;
var __getOwnPropDescs = Object.getOwnPropertyDescriptors;
var __getOwnPropSymbols = Object.getOwnPropertySymbols;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __propIsEnum = Object.prototype.propertyIsEnumerable;
var __defNormalProp = (obj, key, value) => key in obj ? __defProp(obj, key, { enumerable: true, configurable: true, writable: true, value }) : obj[key] = value;
var __spreadValues = (a, b) => {
  for (var prop in b || (b = {}))
    if (__hasOwnProp.call(b, prop))
      __defNormalProp(a, prop, b[prop]);
  if (__getOwnPropSymbols)
    for (var prop of __getOwnPropSymbols(b)) {
      if (__propIsEnum.call(b, prop))
        __defNormalProp(a, prop, b[prop]);
    }
  return a;
};
var __spreadProps = (a, b) => __defProps(a, __getOwnPropDescs(b));

// src/faults.ts
var WORDS = {
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
    "call it directly in the tap handler or payment callback, with ids fetched before, never in setTimeout"
  ],
  busy: ["上一次请求还没有结束", "等它结束，并在其间禁用按钮", "the last request has not ended", "wait for it, with the button disabled"],
  same_title: ["模板标题相同，微信只会保留一个", "一次只请求其中一个", "templates of equal title: WeChat keeps only one", "ask for one of them at a time"],
  unsupported: ["当前环境没有 requestSubscribeMessage", "需要微信小程序，基础库 2.4.4 以上", "this environment has no requestSubscribeMessage", "run in a WeChat mini program, base library 2.4.4 or later"],
  not_ready: ["还没有取到要请求的模板", "进入页面时先调用 ready()", "the templates to ask for are not there yet", "call ready() when the page opens"],
  nothing_to_ask: ["现在没有需要请求的模板", "隐藏订阅按钮即可", "there is nothing to ask for now", "hide the button"],
  unknown: ["请求订阅失败", "查看 errMsg", "the request failed", "see errMsg"]
};
var BY_CODE = {
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
  20013: "device_template"
};
var SubscribeError = class extends Error {
  constructor(reason, lang, errMsg = "", errCode) {
    const words = WORDS[reason];
    const at = lang === "en" ? 2 : 0;
    super(words[at] + (lang === "en" ? "; " : "；") + words[at + 1]);
    this.name = "SubscribeError";
    this.reason = reason;
    this.errCode = errCode;
    this.errMsg = errMsg;
    this.meaning = words[at];
    this.remedy = words[at + 1];
    this.settings = reason === "main_switch_off";
  }
};
function explain(failure, lang = "zh") {
  if (failure instanceof SubscribeError) return failure;
  const given = failure || {};
  const errMsg = String(given.errMsg || given.message || (typeof failure === "string" ? failure : ""));
  const errCode = given.errCode === void 0 ? void 0 : Number(given.errCode);
  return new SubscribeError(reasonOf(errMsg, errCode), lang, errMsg, errCode);
}
function reasonOf(errMsg, errCode) {
  const known = errCode === void 0 ? void 0 : BY_CODE[errCode];
  if (known) return known;
  if (/TAP gesture/i.test(errMsg)) return "no_tap";
  if (/last call has not ended/i.test(errMsg)) return "busy";
  if (/not (a function|supported)|no such api/i.test(errMsg)) return "unsupported";
  return "unknown";
}

// src/host.ts
function findHost() {
  const here = [typeof wx === "undefined" ? void 0 : wx, typeof uni === "undefined" ? void 0 : uni];
  return here.filter((one) => one && one.requestSubscribeMessage)[0] || here[0] || here[1] || {};
}
function answer(promise, callbacks) {
  const { success, fail, complete } = callbacks || {};
  if (!success && !fail && !complete) return promise;
  promise.then(
    (result) => {
      if (success) success(result);
      if (complete) complete(result);
    },
    (failure) => {
      if (fail) fail(failure);
      if (complete) complete(failure);
    }
  );
  return void 0;
}

// src/plan.ts
function plan(wanted, known, max) {
  const byId = {};
  known.forEach((template) => {
    byId[template.template_id] = template;
  });
  const ids = wanted.filter((id, at) => id && wanted.indexOf(id) === at);
  if (!ids.length) return { now: [], left: [], reason: "no_ids" };
  if (ids.some((id) => typeof id !== "string")) return { now: [], left: [], reason: "bad_id" };
  const typeOf = (id) => (byId[id] || {}).type;
  const type = ids.map(typeOf).filter(Boolean)[0];
  const fits = (id) => !typeOf(id) || typeOf(id) === type;
  const same = ids.filter(fits);
  const now = same.slice(0, max);
  const titles = now.map((id) => (byId[id] || {}).title).filter(Boolean);
  if (titles.some((title, at) => titles.indexOf(title) !== at)) return { now: [], left: ids, reason: "same_title" };
  return { now, left: ids.filter((id) => now.indexOf(id) < 0) };
}

// src/server.ts
var KEPT = 20;
var AGAIN = [2e3, 1e4];
var Server = class {
  constructor(options) {
    this.options = options;
  }
  ask(templateIds) {
    const only = templateIds && templateIds.length ? "?template_ids=" + templateIds.map(encodeURIComponent).join(",") : "";
    return this.call("GET", "/ask" + only);
  }
  /** Keeps an act and reports it; what fails is tried again, also after a restart. */
  report(outcome) {
    this.keep(this.kept().concat({ act_id: outcome.actId, results: outcome.results, at: Date.now() }).slice(-KEPT));
    return this.flush();
  }
  /** Reports what is kept, the oldest first. */
  flush(tried = 0) {
    const act = this.kept()[0];
    if (!act) return Promise.resolve();
    const age_seconds = Math.max(0, Math.round((Date.now() - act.at) / 1e3));
    return this.call("POST", "/report", { act_id: act.act_id, results: act.results, age_seconds }).then(
      () => this.drop(act),
      (failure) => {
        const never = failure.status && failure.status >= 400 && failure.status < 500;
        if (never && failure.status !== 401 && failure.status !== 429) return this.drop(act);
        const wait = AGAIN[tried];
        if (wait !== void 0) setTimeout(() => this.flush(tried + 1), wait);
        return void 0;
      }
    );
  }
  drop(act) {
    this.keep(this.kept().filter((one) => one.act_id !== act.act_id));
    return this.flush();
  }
  call(method, path, data, renewed = false) {
    if (!this.token) this.token = Promise.resolve().then(this.options.session);
    const asked = this.token;
    return asked.then(
      (token) => this.send(method, path, data, token).catch((failure) => {
        if (failure.status !== 401 || renewed) throw failure;
        if (this.token === asked) this.token = void 0;
        return this.call(method, path, data, true);
      }),
      (failure) => {
        if (this.token === asked) this.token = void 0;
        throw failure;
      }
    );
  }
  send(method, path, data, token) {
    const { host, baseUrl, appId } = this.options;
    const header = { "content-type": "application/json" };
    if (token) header["authorization"] = "Bearer " + token;
    return new Promise((resolve, reject) => {
      if (!host.request) return reject(new Error("no request"));
      host.request({
        url: baseUrl.replace(/\/+$/, "") + "/mp/" + appId + path,
        method,
        data,
        header,
        success: (answer2) => {
          if (answer2.statusCode >= 200 && answer2.statusCode < 300) return resolve(answer2.data);
          const problem = answer2.data || {};
          const error = new Error(problem.detail || "HTTP " + answer2.statusCode);
          error.status = answer2.statusCode;
          error.code = problem.code;
          reject(error);
        },
        fail: reject
      });
    });
  }
  place() {
    return "hongyan.acts." + this.options.appId;
  }
  kept() {
    const { host } = this.options;
    try {
      return this.memory || host.getStorageSync && host.getStorageSync(this.place()) || [];
    } catch (e) {
      return [];
    }
  }
  keep(acts) {
    const { host } = this.options;
    try {
      if (host.setStorageSync) {
        host.setStorageSync(this.place(), acts);
        this.memory = void 0;
        return;
      }
    } catch (e) {
    }
    this.memory = acts;
  }
};

// src/settings.ts
function readSettings(host, lang) {
  return new Promise((resolve, reject) => {
    const { getSetting } = host;
    if (!getSetting) return reject(new SubscribeError("unsupported", lang));
    getSetting({ withSubscriptions: true, success: (result) => resolve(read(result)), fail: reject });
  });
}
function read(result) {
  const all = result.subscriptionsSetting || {};
  const kept = {};
  const items = all.itemSettings || {};
  Object.keys(items).forEach((id) => {
    const word = String(items[id]);
    kept[id] = /^accept/.test(word) ? "accept" : word === "ban" ? "ban" : "reject";
  });
  const refuses = (id) => kept[id] === "reject" || kept[id] === "ban";
  return { mainSwitch: all.mainSwitch, kept, blocked: (ids) => all.mainSwitch === false ? ids : ids.filter(refuses) };
}
function leadToSettings(host, lang, guidance = {}) {
  const en = lang === "en";
  const title = guidance.title || (en ? "Notices are off" : "通知未开启");
  const content = guidance.content || (en ? "Allow notices in the settings to receive them." : "请在设置中允许接收通知，以便及时收到消息。");
  return new Promise((resolve, reject) => {
    const { showModal, openSetting } = host;
    if (!showModal || !openSetting) return reject(new SubscribeError("unsupported", lang));
    const open = (choice) => {
      if (!choice.confirm) return resolve(null);
      openSetting({ withSubscriptions: true, success: () => readSettings(host, lang).then(resolve, reject), fail: reject });
    };
    showModal({ title, content, confirmText: guidance.confirmText || (en ? "Open" : "去设置"), success: open, fail: reject });
  });
}

// src/outcome.ts
function normalise(raw, left, actId) {
  const outcome = { results: {}, accepted: [], rejected: [], banned: [], filtered: [], left, actId };
  const lists = {
    accept: outcome.accepted,
    reject: outcome.rejected,
    ban: outcome.banned,
    filter: outcome.filtered
  };
  Object.keys(raw).forEach((id) => {
    const word = raw[id];
    if (id === "errMsg" || id === "errCode" || typeof word !== "string") return;
    const result = /^accept/.test(word) ? "accept" : /^(reject|ban|filter)$/.test(word) ? word : "other";
    outcome.results[id] = result;
    const list = lists[result];
    if (list) list.push(id);
  });
  return outcome;
}
function newActId() {
  const part = () => Math.random().toString(36).slice(2, 12);
  return Date.now().toString(36) + "-" + part() + part();
}

// src/subscribe.ts
var OLDER = 3;
var busy = false;
var learned = 5;
function subscribe(templateIds, options = {}) {
  return answer(request([].concat(templateIds), options), options);
}
function request(ids, options) {
  const lang = options.lang || "zh";
  const host = options.host || findHost();
  return new Promise((resolve, reject) => {
    const no = (error) => {
      busy = false;
      reject(error);
    };
    if (!host.requestSubscribeMessage) return reject(new SubscribeError("unsupported", lang));
    if (busy) return reject(new SubscribeError("busy", lang));
    const ask = (max, before) => {
      const { now, left, reason } = plan(ids, options.templates || [], max);
      if (reason) return no(new SubscribeError(reason, lang));
      const done = (raw) => {
        busy = false;
        resolve(normalise(raw, left, newActId()));
      };
      const failed = (failure) => {
        const error = explain(failure, lang);
        if (error.reason === "too_many" && now.length > OLDER) {
          learned = OLDER;
          return ask(OLDER, error);
        }
        no(before && error.reason === "no_tap" ? before : error);
      };
      try {
        host.requestSubscribeMessage({ tmplIds: now, success: done, fail: failed });
      } catch (failure) {
        failed(failure);
      }
    };
    busy = true;
    ask(Math.min(options.max || learned, learned));
  });
}

// src/index.ts
function createHongyan(options) {
  const host = options.host || findHost();
  const lang = options.lang || "zh";
  const account = options.appId || !host.getAccountInfoSync ? {} : host.getAccountInfoSync();
  const appId = options.appId || (account.miniProgram || {}).appId || "";
  const server = new Server({ host, baseUrl: options.baseUrl, appId, session: options.session || login });
  let ask;
  function login() {
    return new Promise((resolve, reject) => {
      const { login: login2 } = host;
      if (!options.login || !login2) return reject(new Error("createHongyan needs `session` or `login: true`"));
      login2({
        success: ({ code }) => server.send("POST", "/login", { code }).then(({ session }) => resolve(session), reject),
        fail: reject
      });
    });
  }
  function told(outcome) {
    if (ask) {
      const { template_ids } = ask;
      ask = __spreadProps(__spreadValues({}, ask), { template_ids: template_ids.filter((id) => outcome.accepted.indexOf(id) < 0) });
    }
    const mode = options.report || "auto";
    if (mode === "always" || mode === "auto" && (!ask || ask.report)) server.report(outcome);
    return outcome;
  }
  function run(templateIds) {
    const ids = templateIds ? [].concat(templateIds) : ask && ask.template_ids;
    if (!ids) return Promise.reject(new SubscribeError("not_ready", lang));
    if (!ids.length && !templateIds) return Promise.reject(new SubscribeError("nothing_to_ask", lang));
    const known = ask ? ask.templates : [];
    const how = { host, lang, templates: known };
    if (options.max) how.max = options.max;
    return request(ids, how).then(told);
  }
  return {
    get ask() {
      return ask;
    },
    ready: (templateIds) => {
      server.flush();
      return server.ask(templateIds).then((answered) => ask = answered);
    },
    subscribe: (templateIds, callbacks) => answer(run(templateIds), callbacks),
    settings: () => readSettings(host, lang),
    guide: (guidance) => leadToSettings(host, lang, guidance)
  };
}
export {
  SubscribeError,
  createHongyan,
  explain,
  plan,
  subscribe
};

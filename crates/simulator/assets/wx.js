// The `wx` object that a mini program sees, as far as subscribing goes. `host` is the phone around it:
// appId, openid, app(), user(), login(), ask(templates), showModal(options), decide(decisions, alwaysKeep), openSettings().

import { handOn, isTap } from "./tap.js";

class Fault {
  constructor(text, errCode) {
    this.text = text;
    this.errCode = errCode;
  }
}

/** Callback style if there is a callback, else a promise: as in a mini program. */
function wrap(name, run, inherits) {
  return (options = {}) => {
    const report = (callback, value) => {
      callback?.(value);
      options.complete?.(value);
    };
    const hand = inherits ? handOn : (callback) => callback;
    const asCallbacks = options.success || options.fail || options.complete;
    const failure = (fault) => {
      if (!(fault instanceof Fault)) return { errMsg: `${name}:fail ${fault?.message ?? fault}` };
      const result = { errMsg: `${name}:fail ${fault.text}` };
      if (fault.errCode !== undefined) result.errCode = fault.errCode;
      return result;
    };
    const success = (value) => ({ errMsg: `${name}:ok`, ...value });
    if (asCallbacks) {
      const done = hand((value) => report(options.success, value));
      const failed = hand((value) => report(options.fail, value));
      run(options).then((value) => done(success(value)), (fault) => failed(failure(fault)));
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const [done, failed] = [hand(resolve), hand(reject)];
      run(options).then((value) => done(success(value)), (fault) => failed(failure(fault)));
    });
  };
}

export function createWx(host) {
  let asking = false;

  async function requestSubscribeMessage({ tmplIds }) {
    if (!Array.isArray(tmplIds) || tmplIds.length === 0) throw new Fault("TmplIds can't be empty", 10001);
    if (tmplIds.some((id) => typeof id !== "string")) throw new Fault("Invalid template id", 10004);
    if (!isTap()) throw new Fault("can only be invoked by user TAP gesture.");
    if (asking) throw new Fault("last call has not ended");
    asking = true;
    try {
      return await subscribe([...new Set(tmplIds)]);
    } finally {
      asking = false;
    }
  }

  async function subscribe(ids) {
    if (ids.length > 5) throw new Fault("Templates count out of max bounds", 20003);
    const known = new Map((await host.app()).templates.map((template) => [template.id, template]));
    if (ids.some((id) => !known.has(id))) {
      throw new Fault("No template data return, verify the template id exist", 20001);
    }
    const wanted = ids.map((id) => known.get(id));
    if (new Set(wanted.map(({ type }) => type)).size > 1) throw new Fault("Templates type must be same", 20002);
    const user = await host.user();
    if (!user.main_switch) throw new Fault("The main switch is switched off", 20004);

    const result = {};
    const titles = new Set();
    const decisions = {};
    const open = [];
    for (const template of wanted) {
      if (titles.has(template.title)) {
        result[template.id] = "filter";
        continue;
      }
      titles.add(template.title);
      const state = user.subscriptions.find((one) => one.template_id === template.id);
      if (state?.refused) decisions[template.id] = "reject";
      else if (state?.always_keep) decisions[template.id] = state.always_keep;
      else open.push(template);
    }
    let alwaysKeep = false;
    if (open.length > 0) {
      const answer = await host.ask(open);
      Object.assign(decisions, answer.decisions);
      alwaysKeep = answer.alwaysKeep;
    }
    await host.decide(decisions, alwaysKeep);
    return { ...decisions, ...result };
  }

  async function getSetting({ withSubscriptions }) {
    const answer = { authSetting: {} };
    if (!withSubscriptions) return answer;
    const user = await host.user();
    const kept = user.subscriptions.filter((one) => one.always_keep);
    answer.subscriptionsSetting = { mainSwitch: user.main_switch };
    if (kept.length > 0) {
      const items = kept.map((one) => [one.template_id, one.always_keep]);
      answer.subscriptionsSetting.itemSettings = Object.fromEntries(items);
    }
    return answer;
  }

  async function openSetting(options) {
    if (!isTap()) throw new Fault("can only be invoked by user TAP gesture.");
    await host.openSettings();
    return getSetting(options);
  }

  // A user's own: whoever takes the phone next has another.
  const place = (key) => `${host.appId}/${host.openid}/${key}`;

  async function request({ url, method = "GET", data, header = {} }) {
    const options = { method, headers: { "content-type": "application/json", ...header } };
    if (method !== "GET" && data !== undefined) options.body = JSON.stringify(data);
    const response = await fetch(url, options);
    const text = await response.text();
    let body = text;
    try {
      body = JSON.parse(text);
    } catch {
      // Not JSON: the text itself, as wx.request does.
    }
    return { data: body, statusCode: response.status };
  }

  return {
    requestSubscribeMessage: wrap("requestSubscribeMessage", requestSubscribeMessage, false),
    getSetting: wrap("getSetting", getSetting, true),
    openSetting: wrap("openSetting", openSetting, false),
    getAccountInfoSync: () => ({ miniProgram: { appId: host.appId, envVersion: "develop", version: "" } }),
    getStorageSync: (key) => JSON.parse(localStorage.getItem(place(key)) ?? '""'),
    setStorageSync: (key, data) => localStorage.setItem(place(key), JSON.stringify(data)),
    request: wrap("request", request, true),
    login: wrap("login", () => host.login(), false),
    showModal: wrap("showModal", (options) => host.showModal(options), true),
  };
}

// The mini program's own page: choose notices, subscribe, try the tap rule, write to customer service; and
// the page a card opens.

import * as api from "./api.js";
import { appIcon, h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { app, attempt, changed, refresh, state } from "./store.js";

const chosenOf = (mini) => {
  if (!state.chosen.has(mini.appid)) {
    // One call takes up to five of one type.
    const same = mini.templates.filter(({ type }) => type === mini.templates[0].type);
    state.chosen.set(mini.appid, new Set(same.slice(0, 5).map(({ id }) => id)));
  }
  return state.chosen.get(mini.appid);
};

export function miniView(wx) {
  const mini = app();
  const chosen = chosenOf(mini);
  const ids = mini.templates.map(({ id }) => id).filter((id) => chosen.has(id));
  // The page's tap handler: exactly what a mini program writes.
  const subscribe = () => {
    state.lastResult = "…";
    changed();
    wx.requestSubscribeMessage({
      tmplIds: ids,
      complete: (result) => {
        state.lastResult = result;
        changed();
      },
    });
  };
  return [
    h("section", { class: "hero" }, appIcon(mini, "large"), h("h2", {}, mini.name), h("p", {}, mini.appid)),
    h("h3", { class: "group-title", id: "choose" }, t("choose")),
    mini.templates.length === 0
      ? h("p", { class: "hint" }, t("no_templates"))
      : h("div", { class: "group", role: "group", "aria-labelledby": "choose" },
          mini.templates.map((template) => choice(template, chosen))),
    h("button", { type: "button", class: "primary", id: "subscribe", testid: "subscribe", onclick: subscribe }, t("subscribe")),
    h("p", { class: "hint" }, t("subscribe_hint")),
    resultBox(),
    tapRule(wx, ids),
    chatRow(),
    loginRow(wx),
  ];
}

function choice(template, chosen) {
  const toggle = (event) => {
    if (event.target.checked) chosen.add(template.id);
    else chosen.delete(template.id);
    changed();
  };
  return h("label", { class: "cell" },
    h("input", { type: "checkbox", class: "tick", id: `choose-${template.id}`, testid: `choose-${template.id}`,
      checked: chosen.has(template.id), onchange: toggle }),
    h("span", { class: "cell-main" },
      h("span", { class: "cell-title" }, template.title),
      h("span", { class: "cell-sub" }, template.fields.map(({ label }) => label).join(" · "))),
    h("span", { class: `badge ${template.type}` }, t(template.type)));
}

function resultBox() {
  const result = state.lastResult;
  return h("section", { class: "result", "aria-live": "polite" },
    h("h3", { class: "group-title" }, t("result")),
    h("pre", { class: result?.errMsg?.includes(":fail") ? "code bad" : result?.errMsg ? "code" : "code quiet", testid: "result", tabindex: "0" },
      result ? pretty(result) : t("no_result")));
}

function pretty(result) {
  if (typeof result === "string") return result;
  const titles = new Map(app().templates.map(({ id, title }) => [id, title]));
  const lines = Object.entries(result).map(([key, value]) => {
    const note = titles.has(key) ? ` // ${titles.get(key)}` : "";
    return h("span", { class: "line" }, `${JSON.stringify(key)}: ${JSON.stringify(value)},${note}`);
  });
  return ["{", lines, "}"];
}

const WAYS = {
  direct: (call) => call(),
  await: async (call) => {
    await Promise.resolve();
    await null;
    return call();
  },
  timeout: (call) =>
    new Promise((resolve, reject) => {
      setTimeout(() => call().then(resolve, reject), 0);
    }),
};

const CODE = {
  direct: "onTap() { wx.requestSubscribeMessage(…) }",
  await: "async onTap() { await ready; wx.requestSubscribeMessage(…) }",
  timeout: "onTap() { setTimeout(() => wx.requestSubscribeMessage(…)) }",
};

function tapRule(wx, ids) {
  const run = (way) => async () => {
    state.tapResults[way] = "…";
    changed();
    const call = () => wx.requestSubscribeMessage({ tmplIds: ids });
    const result = await WAYS[way](call).catch((failure) => failure);
    state.tapResults[way] = result.errMsg;
    changed();
  };
  const row = (way) => {
    const result = state.tapResults[way];
    const tone = result?.includes(":fail") ? "bad" : result?.includes(":ok") ? "good" : "";
    return h("div", { class: "cell tap-row" },
      h("span", { class: "cell-main" },
        h("button", { type: "button", class: "mini-button", id: `tap-${way}`, testid: `tap-${way}`, onclick: run(way) }, t(`tap_${way}`)),
        h("code", {}, CODE[way]),
        h("output", { class: `tap-result ${tone}`, testid: `tap-result-${way}`, "aria-live": "polite" }, result ?? "")));
  };
  return h("section", {},
    h("h3", { class: "group-title" }, t("tap_title")),
    h("div", { class: "group" }, Object.keys(WAYS).map(row)),
    h("p", { class: "hint" }, t("tap_hint")));
}

/** wx.login: the code is for the server's jscode2session. */
function loginRow(wx) {
  const login = () => wx.login({
    complete: (result) => {
      state.loginCode = result.code ?? result.errMsg;
      changed();
    },
  });
  return h("section", {},
    h("h3", { class: "group-title" }, t("login_title")),
    h("div", { class: "group" }, h("div", { class: "cell tap-row" }, h("span", { class: "cell-main" },
      h("button", { type: "button", class: "mini-button", id: "login", testid: "login", onclick: login }, "wx.login"),
      h("output", { class: "tap-result", testid: "login-code", "aria-live": "polite" }, state.loginCode ?? "")))),
    h("p", { class: "hint" }, t("login_hint")));
}

function chatRow() {
  const send = async (event) => {
    event.preventDefault();
    const text = event.target.elements.text.value.trim();
    if (!text || state.chatting) return;
    state.chatting = text;
    chatDraft = "";
    changed();
    await attempt(async () => {
      await api.chat(state.appid, state.openid, text);
      await refresh();
    });
    state.chatting = null;
    changed();
  };
  return h("section", {},
    h("h3", { class: "group-title" }, t("service_chat")),
    h("form", { class: "group chat", onsubmit: send }, icon("chat"),
      h("input", { name: "text", id: "chat", testid: "chat", autocomplete: "off", placeholder: t("chat_placeholder"),
        "aria-label": t("chat_placeholder"), value: chatDraft, oninput: (event) => { chatDraft = event.target.value; } }),
      h("button", { type: "submit", class: "mini-button", testid: "chat-send" }, t("send"))),
    h("ul", { class: "chats", "aria-live": "polite", testid: "chats" },
      state.chatting && said(state.chatting, "", t("chat_waiting")),
      state.chats.slice(0, 4).map(chatView)));
}

function chatView(chat) {
  const tone = { transferred: "good", direct: "good", swallowed: "warn", failed: "bad" }[chat.outcome];
  const why = [chat.reason && t(`chat_${chat.reason}`), chat.reason === "no_answer" && chat.detail].filter(Boolean).join(" ");
  return said(chat.text, tone, t(`chat_${chat.outcome}`), why);
}

const said = (text, tone, outcome, why) => h("li", { class: "said" },
  h("span", { class: "bubble" }, text),
  h("span", { class: `said-outcome ${tone}`, testid: "chat-outcome" }, outcome, why && h("small", {}, why)));

// Kept over redrawing.
let chatDraft = "";

/** What opens when a card is tapped. */
export function openedPage(page) {
  const [path, query = ""] = page.split(/\?(.*)/s);
  const pairs = [...new URLSearchParams(query)];
  return [
    h("section", { class: "hero" }, appIcon(app(), "large"), h("h2", {}, app().name)),
    h("div", { class: "group" },
      h("div", { class: "cell" }, h("span", { class: "cell-main" }, t("page_path")),
        h("code", { class: "cell-value", testid: "page-path" }, path || t("none"))),
      pairs.length === 0
        ? h("div", { class: "cell" }, h("span", { class: "cell-main" }, t("page_query")), h("span", { class: "cell-value" }, t("none")))
        : pairs.map(([key, value]) => h("div", { class: "cell" },
            h("code", { class: "cell-main" }, key), h("code", { class: "cell-value" }, value)))),
    h("p", { class: "hint" }, t("page_hint")),
  ];
}

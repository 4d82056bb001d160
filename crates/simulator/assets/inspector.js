// The panel beside the phone: which app and user, and what WeChat knows inside but no phone shows.

import * as api from "./api.js";
import { h, icon } from "./dom.js";
import { faultsView } from "./faults.js";
import { lang, otherLanguage, seconds, t } from "./i18n.js";
import { ownView } from "./own.js";
import { app, attempt, changed, chooseApp, chooseUser, createUser, state, toast } from "./store.js";

export function panelView(closePanel) {
  const mini = app();
  return [
    h("header", { class: "panel-head" }, h("h1", {}, t("title")),
      h("a", { href: otherLanguage(), class: "link", testid: "language", lang: lang === "en" ? "zh-CN" : "en" }, lang === "en" ? "中文" : "English"),
      h("button", { type: "button", class: "icon-button panel-close", testid: "panel-close", "aria-label": t("close"), onclick: closePanel }, "×")),
    !state.online && h("p", { class: "alert", role: "status" }, t("lost")),
    choosers(mini),
    mini && state.user && insideView(),
    mini && pushSettings(mini),
    mini && ownView(),
    mini && state.user && faultsView(),
    mini && state.user && callbacksView(),
    mini && state.user && sendsView(),
  ];
}

function choosers(mini) {
  const options = (items, key, selected) => items.map((item) =>
    h("option", { value: item[key], selected: item[key] === selected },
      `${item.name ?? item.nickname}（${shorten(item[key])}）`));
  const create = (event) => {
    event.preventDefault();
    const input = event.target.elements.nickname;
    attempt(() => createUser(input.value)).then(() => { nickDraft = ""; changed(); });
  };
  return h("section", { class: "box" },
    h("label", { class: "field" }, h("span", {}, t("app")),
      h("select", { id: "app", testid: "app", disabled: !mini, onchange: (event) => attempt(() => chooseApp(event.target.value)) },
        options(state.apps, "appid", state.appid))),
    mini && state.users.length > 0 && h("label", { class: "field" }, h("span", {}, t("user")),
      h("select", { id: "user", testid: "user", onchange: (event) => attempt(() => chooseUser(event.target.value)) },
        options(state.users, "openid", state.openid))),
    state.openid && h("code", { class: "openid", testid: "openid" }, state.openid),
    mini && h("form", { class: "inline", onsubmit: create },
      h("input", { name: "nickname", id: "nickname", testid: "nickname", maxlength: "20", autocomplete: "off", placeholder: t("new_user"),
        "aria-label": t("new_user"), value: nickDraft, oninput: (event) => { nickDraft = event.target.value; } }),
      h("button", { type: "submit", class: "mini-button", testid: "create-user" }, t("create_user"))));
}

// Kept over redrawing.
let nickDraft = "";

const shorten = (text) => (text.length > 14 ? `${text.slice(0, 6)}…${text.slice(-4)}` : text);

function insideView() {
  const word = (one) => (one.refused ? "status_refused" : one.status ? `status_${one.status}` : "status_none");
  return h("section", { class: "box" },
    h("h2", {}, t("inside")), h("p", { class: "hint" }, t("inside_hint")),
    h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("each")), h("th", { scope: "col" }, t("status")), h("th", { scope: "col", class: "number" }, t("grants")))),
      h("tbody", {}, state.user.subscriptions.map((one) => h("tr", {},
        h("th", { scope: "row" }, one.title),
        h("td", {}, h("span", { class: `pill ${one.refused ? "reject" : one.status ?? ""}` }, t(word(one)))),
        h("td", { class: "number", testid: `grants-${one.template_id}` }, one.type === "long_term" ? t("unlimited") : String(one.grants)))))));
}

function pushSettings(mini) {
  const check = () => attempt(async () => {
    state.verification = await api.verify(mini.appid);
    changed();
  });
  const result = state.verification;
  return h("section", { class: "box" },
    h("h2", {}, t("push_url")),
    mini.callback
      ? [h("code", { class: "openid" }, mini.callback.url),
         h("div", { class: "inline spread" },
           h("span", { class: "faint" }, `${t(`mode_${mini.callback.mode}`)} · ${mini.callback.format.toUpperCase()}`),
           h("button", { type: "button", class: "mini-button", id: "verify", testid: "verify", onclick: check }, t("verify"))),
         result && h("p", { class: result.ok ? "verdict good" : "verdict bad", role: "status", testid: "verify-result" },
           result.ok ? t("verify_ok") : result.reason),
         state.user && otherEvent()]
      : h("p", { class: "hint" }, t("no_callback")));
}

/** An event that nobody has heard of: a server must answer it all the same. */
function otherEvent() {
  const keep = (name) => (event) => { eventDraft[name] = event.target.value; };
  const push = (event) => {
    event.preventDefault();
    attempt(async () => {
      await api.pushEvent(state.appid, state.openid, eventDraft.event.trim(), JSON.parse(eventDraft.fields || "{}"));
      toast(t("event_pushed"));
    });
  };
  return h("form", { class: "part", onsubmit: push },
    h("span", { class: "faint" }, t("event_title")),
    h("div", { class: "inline" },
      h("input", { id: "event-name", testid: "event-name", autocomplete: "off", spellcheck: "false", "aria-label": t("event_name"), value: eventDraft.event, oninput: keep("event") }),
      h("button", { type: "submit", class: "mini-button", testid: "event-push" }, t("event_push"))),
    h("input", { id: "event-fields", testid: "event-fields", class: "below", autocomplete: "off", spellcheck: "false", "aria-label": t("event_fields"),
      placeholder: t("event_fields"), value: eventDraft.fields, oninput: keep("fields") }));
}

// Kept over redrawing.
const eventDraft = { event: "wxa_new_event", fields: "" };

function callbacksView() {
  const row = (one) => {
    const good = one.status === 200;
    return h("li", {},
      h("details", {},
        h("summary", {}, h("span", { class: good ? "dot good" : "dot bad" }),
          h("span", { class: "grow" }, eventName(one.event), one.attempt > 1 && h("span", { class: "faint" }, ` ${t("attempt", { n: one.attempt })}`)),
          h("span", { class: good ? "code-word" : "code-word bad" }, one.status ?? t("no_answer")),
          h("time", {}, seconds(one.at))),
        h("pre", {}, one.plaintext),
        h("pre", {}, one.error ?? (one.body || "(empty)"), ` · ${one.latency_ms} ms`)));
  };
  return list("callbacks", state.callbacks, row);
}

/** Unknown ones by their own name. */
const eventName = (event) => (t(`ev_${event}`) === `ev_${event}` ? event : t(`ev_${event}`));

function sendsView() {
  const titles = new Map(app().templates.map(({ id, title }) => [id, title]));
  const row = (one) => h("li", {},
    h("details", {},
      h("summary", {}, h("span", { class: one.errcode === 0 ? "dot good" : "dot bad" }),
        h("span", { class: "grow" }, titles.get(one.template_id) ?? shorten(one.template_id || "—")),
        one.fault && h("span", { class: "pill reject" }, one.fault),
        h("span", { class: one.errcode === 0 ? "code-word" : "code-word bad" }, one.errcode === 0 ? "ok" : String(one.errcode)),
        h("time", {}, seconds(one.at))),
      h("pre", {}, one.errmsg),
      h("pre", {}, JSON.stringify(one.data, null, 1))));
  return list("sends", state.sends, row);
}

function list(name, items, row) {
  return h("section", { class: "box" }, h("h2", {}, t(name)),
    items.length === 0 ? h("p", { class: "hint" }, t("empty")) : h("ul", { class: "log", testid: name }, items.map(row)));
}

/** Shown in the phone while there is nobody to use it. */
export function nobody() {
  const mini = app();
  const create = () => attempt(() => createUser(""));
  return [h("div", { class: "blank" }, icon("bell"),
    h("p", {}, t(mini ? "no_user" : "no_app")), h("p", { class: "hint" }, t(mini ? "no_user_hint" : "no_app_hint")),
    mini && h("button", { type: "button", class: "primary", testid: "first-user", onclick: create }, t("create_user")))];
}

// Puts the page together: draws the views, opens and closes the panel, and is the phone around `wx`.

import * as api from "./api.js";
import { fill, h, icon } from "./dom.js";
import { clock, lang, t } from "./i18n.js";
import { nobody, panelView } from "./inspector.js";
import { miniView, openedPage } from "./mini.js";
import { banner, noticesView } from "./notices.js";
import { answerFrame, hasOwn, placeFrame } from "./own.js";
import { settingsView } from "./settings.js";
import { actionSheet, askPopup, modal } from "./sheets.js";
import { app, changed, loadApps, onChange, refresh, show, state, whenCardArrives } from "./store.js";
import { createWx } from "./wx.js";

const place = (id) => document.getElementById(id);

const host = {
  get appId() { return state.appid; },
  get openid() { return state.openid; },
  app,
  user: () => api.getUser(state.appid, state.openid),
  ask: askPopup,
  showModal: modal,
  login: () => api.login(state.appid, state.openid),
  decide: async (decisions, alwaysKeep) => {
    await api.popup(state.appid, state.openid, decisions, alwaysKeep);
    await refresh();
  },
  openSettings: () => show("settings"),
};
const wx = createWx(host);
answerFrame(host);
// For trying things in the browser's console, where there is no tap: it shows WeChat's refusal.
window.wx = wx;

const TABS = ["mini", "notices", "settings"];

function tabs() {
  return TABS.map((name) => h("button", {
    type: "button", id: `go-${name}`, testid: `go-${name}`, class: "tab",
    "aria-current": state.view.name === name || (state.view.name === "page" && name === "mini") ? "page" : false,
    onclick: () => show(name),
  }, t(`tab_${name}`), name === "notices" && state.unread > 0 && h("span", { class: "count", testid: "unread" }, String(state.unread))));
}

function navbar() {
  const { name } = state.view;
  const titles = { mini: app()?.name ?? t("title"), page: t("page_title"), notices: t("arrived"), settings: t("settings_title") };
  const back = { page: "notices", notices: "mini", settings: "mini" }[name];
  const menu = async () => {
    const chosen = await actionSheet("", [{ id: "settings", text: t("settings_title") }, { id: "notices", text: t("tab_notices") }]);
    if (chosen) show(chosen);
  };
  return [
    back ? h("button", { type: "button", class: "icon-button", id: "back", testid: "back", "aria-label": t("back"), onclick: () => show(back) }, icon("back")) : h("span", {}),
    h("h1", { class: "nav-title" }, titles[name]),
    name === "mini" || name === "page"
      ? h("span", { class: "capsule" },
          h("button", { type: "button", id: "capsule-more", testid: "capsule-more", "aria-label": t("more"), onclick: menu }, icon("more")),
          h("button", { type: "button", id: "capsule-home", testid: "capsule-home", "aria-label": t("home"), onclick: () => show("mini") }, icon("close")))
      : h("span", {}),
  ];
}

function content() {
  if (!app() || !state.user) return nobody();
  switch (state.view.name) {
    case "notices": return noticesView();
    case "settings": return settingsView();
    case "page": return openedPage(state.view.page);
    default: return hasOwn() ? [] : miniView(wx);
  }
}

function setPanel(open) {
  document.body.classList.toggle("panel-open", open);
  place("panel-toggle").setAttribute("aria-expanded", String(open));
  if (open) place("panel").querySelector("select, input, button")?.focus();
  else place("panel-toggle").focus();
}

let drawn = { name: null, cards: 0 };
function draw() {
  const view = place("view");
  const { name } = state.view;
  const top = view.scrollTop;
  fill(place("tabs"), tabs());
  fill(place("navbar"), navbar());
  view.className = `view view-${name}`;
  fill(view, content());
  placeFrame(place("own"));
  view.hidden = !place("own").hidden;
  fill(place("toast"), state.toast ? [h("p", { class: "toast", testid: "toast" }, state.toast)] : []);
  fill(place("panel"), panelView(() => setPanel(false)));
  const cards = state.user?.cards.length ?? 0;
  const toEnd = name === "notices" && (drawn.name !== name || drawn.cards !== cards);
  view.scrollTop = toEnd ? view.scrollHeight : drawn.name === name ? top : 0;
  drawn = { name, cards };
}

function still() {
  document.documentElement.lang = lang === "en" ? "en" : "zh-CN";
  document.title = t("title");
  place("ribbon-text").textContent = t("ribbon");
  place("tabs").setAttribute("aria-label", t("views"));
  place("panel").setAttribute("aria-label", t("console"));
  const toggle = place("panel-toggle");
  toggle.textContent = t("console");
  toggle.addEventListener("click", () => setPanel(!document.body.classList.contains("panel-open")));
  place("panel").addEventListener("keydown", (event) => event.key === "Escape" && setPanel(false));
  place("signals").append(icon("signals", "0 0 48 14"));
  const tick = () => { place("clock").textContent = clock(Date.now()); };
  tick();
  setInterval(tick, 10_000);
}

still();
onChange(draw);
whenCardArrives((card) => state.view.name !== "notices" && banner(place("banner"), card));
loadApps().catch(() => {
  state.online = false;
  changed();
});

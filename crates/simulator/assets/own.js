// Somebody's own mini program in the phone: its H5 build in a frame, which talks to the phone by assets/bridge.js.

import * as api from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { app, attempt, changed, loadApps, onChange, show, state } from "./store.js";

/** How long a page may take to speak up, ms. */
const SILENT = 5000;

let frame = null;
let opened = null;
/** `waiting`, `connected`, or `silent`: the page does not include the bridge. */
let connection = "waiting";

/** Whether the phone shows somebody's own pages in place of its own. */
export const hasOwn = () => Boolean(app()?.mini_program);

/** Puts the frame where it belongs; never again while nothing of it changed, or the page would start anew. */
export function placeFrame(place) {
  const key = hasOwn() && state.openid ? [app().mini_program, state.appid, state.openid].join(" ") : null;
  if (key !== opened) {
    opened = key;
    connection = "waiting";
    frame = key && makeFrame();
    place.replaceChildren(...(frame ? [frame] : []));
    if (key) setTimeout(() => {
      if (opened !== key || connection !== "waiting") return;
      connection = "silent";
      changed();
    }, SILENT);
  }
  place.hidden = !(frame && state.view.name === "mini");
}

function makeFrame(page = "") {
  const mini = app();
  const url = new URL(mini.mini_program, location.href);
  url.searchParams.set("hongyan_appid", mini.appid);
  url.searchParams.set("hongyan_openid", state.openid);
  // Where the service is, is known from where its callbacks go.
  if (mini.callback) url.searchParams.set("hongyan", mini.callback.url.replace(/\/callback\/[^/]*$/, ""));
  if (page) url.hash = `#/${page}`;
  return h("iframe", { src: url.href, title: mini.name, testid: "own", sandbox: "allow-scripts allow-same-origin allow-forms allow-popups" });
}

/** What a tap on a card does. */
export function openOwn(page) {
  show("mini");
  frame?.contentWindow.postMessage({ hongyan: "phone", open: page }, "*");
}

/** The phone's side of the calls. `host` is the same that the phone's own page has. */
export function answerFrame(host) {
  const calls = { ...host, app: () => app(), openSettings, hello: () => {
    connection = "connected";
    changed();
    return true;
  } };
  window.addEventListener("message", async ({ source, data }) => {
    if (!frame || source !== frame.contentWindow || data?.hongyan !== "mini-program") return;
    const answer = { hongyan: "phone", id: data.id };
    try {
      if (!Object.hasOwn(calls, data.call)) throw new Error(`no such call: ${data.call}`);
      answer.result = await calls[data.call](...data.args);
    } catch (error) {
      answer.error = error.message;
    }
    source.postMessage(answer, "*");
  });
}

/** The settings page; answered when the user comes back. */
function openSettings() {
  show("settings");
  return new Promise((resolve) => {
    const stop = onChange(() => {
      if (state.view.name === "settings") return;
      stop();
      resolve({});
    });
  });
}

// Kept over redrawing.
let draft = null;

/** In the panel: which pages the phone shows. */
export function ownView() {
  const mini = app();
  const save = (url) => attempt(async () => {
    await api.setMiniProgram(mini.appid, url);
    draft = null;
    await loadApps();
    show("mini");
  });
  const submit = (event) => {
    event.preventDefault();
    save(event.target.elements.url.value.trim() || null);
  };
  const tag = `<script type="module" src="${new URL("bridge.js", location.href)}"></script>`;
  return h("section", { class: "box" },
    h("h2", {}, t("own_title")), h("p", { class: "hint" }, t("own_hint")),
    h("form", { class: "inline", onsubmit: submit },
      h("input", { name: "url", id: "own-url", testid: "own-url", autocomplete: "off", spellcheck: "false", placeholder: "http://127.0.0.1:5173/",
        "aria-label": t("own_url"), value: draft ?? mini.mini_program ?? "", oninput: (event) => { draft = event.target.value; } }),
      h("button", { type: "submit", class: "mini-button", testid: "own-open" }, t("own_open"))),
    mini.mini_program && h("div", { class: "inline spread" },
      h("span", { class: connection === "silent" ? "faint bad" : "faint", testid: "own-state" }, t(`own_${connection}`)),
      h("button", { type: "button", class: "mini-button", id: "own-clear", testid: "own-clear", onclick: () => save(null) }, t("own_clear"))),
    connection === "silent" && mini.mini_program && h("pre", { class: "openid" }, tag));
}

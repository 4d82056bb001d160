// The settings page of the mini program: main switch, and each template 接收 or 拒收.

import * as api from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { actionSheet, modal } from "./sheets.js";
import { attempt, refresh, state, toast } from "./store.js";

export function settingsView() {
  const user = state.user;
  // Shown at once; what the simulator then says counts.
  const change = async (seen, body) => {
    seen();
    await attempt(() => api.settings(state.appid, state.openid, body));
    await attempt(refresh);
  };
  return [
    h("div", { class: "group first" }, toggle("main-switch", t("main_switch"), "", user.main_switch, false,
      (on) => change(() => { user.main_switch = on; }, { main_switch: on }))),
    h("p", { class: "hint" }, t("main_hint")),
    h("h3", { class: "group-title" }, t("each")),
    h("div", { class: "group" }, user.subscriptions.map((one) => toggle(
      `switch-${one.template_id}`, one.title,
      `${t(one.refused ? "refuse_word" : "receive")} · ${t(one.always_keep ? `kept_${one.always_keep}` : "not_kept")}`,
      !one.refused, !user.main_switch,
      (on) => change(() => { one.refused = !on; }, { [one.template_id]: on ? "accept" : "reject" })))),
    h("p", { class: "hint" }, t("settings_hint")),
    account(),
  ];
}

// RevokeInfo numbers as WeChat lists them.
const ALLOWED = { nickname: "6", phone: "8", location: "13", all: "6,8,13" };

/** 取消授权 and 注销. */
function account() {
  const act = (body) => api.authorization(state.appid, state.openid, body);
  const revoke = async () => {
    const chosen = await actionSheet(t("revoke_hint"), Object.entries(ALLOWED).map(([id, info]) => ({ id, text: `${t(`allowed_${id}`)}（${info}）` })));
    if (!chosen) return;
    await attempt(async () => {
      await act({ act: "revoke", info: ALLOWED[chosen] });
      toast(t("revoked"));
    });
  };
  const cancel = async () => {
    const { confirm } = await modal({ title: t("close_account"), content: t("close_account_hint") });
    if (confirm) await attempt(() => act({ act: "cancel" }));
  };
  const cell = (id, text, onclick, danger) =>
    h("button", { type: "button", class: danger ? "cell cell-button danger" : "cell cell-button", id, testid: id, onclick }, text);
  return h("section", {},
    h("h3", { class: "group-title" }, t("account")),
    h("div", { class: "group" }, cell("revoke", t("revoke"), revoke), cell("close-account", t("close_account"), cancel, true)),
    h("p", { class: "hint" }, t("account_hint")));
}

function toggle(id, title, sub, on, disabled, change) {
  return h("label", { class: "cell" },
    h("span", { class: "cell-main" }, h("span", { class: "cell-title" }, title), sub && h("span", { class: "cell-sub" }, sub)),
    h("input", { type: "checkbox", role: "switch", class: "switch", id, testid: id, checked: on, disabled,
      onchange: (event) => change(event.target.checked) }));
}

// The settings page of the mini program: main switch, and each template 接收 or 拒收.

import * as api from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { attempt, refresh, state } from "./store.js";

export function settingsView() {
  const user = state.user;
  const change = (body) => attempt(async () => {
    await api.settings(state.appid, state.openid, body);
    await refresh();
  });
  return [
    h("div", { class: "group first" }, toggle("main-switch", t("main_switch"), "", user.main_switch, false,
      (on) => change({ main_switch: on }))),
    h("p", { class: "hint" }, t("main_hint")),
    h("h3", { class: "group-title" }, t("each")),
    h("div", { class: "group" }, user.subscriptions.map((one) => toggle(
      `switch-${one.template_id}`, one.title,
      `${t(one.refused ? "refuse_word" : "receive")} · ${t(one.always_keep ? `kept_${one.always_keep}` : "not_kept")}`,
      !one.refused, !user.main_switch,
      (on) => change({ [one.template_id]: on ? "accept" : "reject" })))),
    h("p", { class: "hint" }, t("settings_hint")),
  ];
}

function toggle(id, title, sub, on, disabled, change) {
  return h("label", { class: "cell" },
    h("span", { class: "cell-main" }, h("span", { class: "cell-title" }, title), sub && h("span", { class: "cell-sub" }, sub)),
    h("input", { type: "checkbox", role: "switch", class: "switch", id, testid: id, checked: on, disabled,
      onchange: (event) => change(event.target.checked) }));
}

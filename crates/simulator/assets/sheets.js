// What covers the phone's screen: the request popup, WeChat's action sheet, and the modal of wx.showModal.

import { appIcon, h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { app } from "./store.js";

/** Shows a dialog until `close(answer)`; Escape answers `escaped`; the keyboard stays inside. */
function dialog(build, escaped) {
  const place = document.getElementById("overlay");
  const before = document.activeElement;
  return new Promise((resolve) => {
    const close = (answer) => {
      place.replaceChildren();
      place.removeEventListener("keydown", keys);
      const again = before?.isConnected ? before : before?.id && document.getElementById(before.id);
      if (again) again.focus({ preventScroll: true });
      resolve(answer);
    };
    const keys = (event) => {
      if (event.key === "Escape") close(escaped);
      if (event.key !== "Tab") return;
      const stops = [...place.querySelectorAll("button, input")].filter((one) => !one.disabled);
      const [first, last] = [stops[0], stops.at(-1)];
      if (event.shiftKey && document.activeElement === first) {
        event.preventDefault();
        last.focus();
      } else if (!event.shiftKey && document.activeElement === last) {
        event.preventDefault();
        first.focus();
      }
    };
    place.addEventListener("keydown", keys);
    place.replaceChildren(h("div", { class: "veil" }), build(close));
    (place.querySelector("[data-focus]") ?? place.querySelector("button, input"))?.focus({ preventScroll: true });
  });
}

/** The popup of wx.requestSubscribeMessage: which templates, and whether to keep the choice. */
export function askPopup(templates) {
  const several = templates.length > 1;
  const ticks = new Map(templates.map(({ id }) => [id, true]));
  const refuseAll = () => ({
    decisions: Object.fromEntries(templates.map(({ id }) => [id, "reject"])),
    alwaysKeep: document.getElementById("popup-always")?.checked ?? false,
  });
  return dialog((close) => {
    const allow = h("button", { type: "button", class: "primary", testid: "allow", "data-focus": "", onclick: () => close({
      decisions: Object.fromEntries(templates.map(({ id }) => [id, ticks.get(id) ? "accept" : "reject"])),
      alwaysKeep: document.getElementById("popup-always").checked,
    }) }, t("allow"));
    const tick = (id) => (event) => {
      ticks.set(id, event.target.checked);
      allow.disabled = ![...ticks.values()].some(Boolean);
    };
    const long = templates[0].type === "long_term";
    return h("div", { class: "sheet popup", role: "dialog", "aria-modal": "true", "aria-labelledby": "popup-title", testid: "popup" },
      h("header", { class: "popup-app" }, appIcon(app(), "small"), h("span", {}, app().name), h("span", { class: "faint" }, t("applies"))),
      h("h2", { id: "popup-title" }, t(long ? "popup_long" : "popup_once")),
      h("p", { class: "visually-hidden" }, t("popup_intro")),
      h("ul", { class: "popup-list" }, templates.map((template) => popupItem(template, several, tick(template.id)))),
      h("label", { class: "always" },
        h("input", { type: "checkbox", class: "tick", id: "popup-always", testid: "always-keep" }), h("span", {}, t("always"))),
      h("div", { class: "two" },
        h("button", { type: "button", class: "secondary", testid: "cancel", onclick: () => close(refuseAll()) }, t("cancel")), allow));
  }, { decisions: Object.fromEntries(templates.map(({ id }) => [id, "reject"])), alwaysKeep: false });
}

function popupItem(template, several, ontick) {
  const sample = h("div", { class: "sample", hidden: true },
    h("p", { class: "sample-title" }, template.title),
    h("dl", {}, exampleRows(template).map(([label, value]) => [h("dt", {}, label), h("dd", {}, value)])));
  const info = h("button", { type: "button", class: "icon-button", testid: "sample", "aria-expanded": "false",
    "aria-label": t("see_sample", { title: template.title }), onclick: () => {
      sample.hidden = !sample.hidden;
      info.setAttribute("aria-expanded", String(!sample.hidden));
    } }, icon("info"));
  const title = h("span", { class: "cell-title" }, template.title);
  return h("li", {},
    h("div", { class: "popup-row" },
      several
        ? h("label", {}, h("input", { type: "checkbox", class: "tick", testid: `popup-${template.id}`, checked: true, onchange: ontick }), title)
        : h("span", { class: "popup-one" }, title),
      info),
    sample);
}

function exampleRows(template) {
  const lines = template.example.split("\n").map((line) => line.match(/^(.*?)[:：](.*)$/s)).filter(Boolean);
  if (lines.length > 0) return lines.map(([, label, value]) => [label, value]);
  return template.fields.map(({ label }) => [label, "…"]);
}

/** WeChat's menu from below; answers the chosen id, or null. */
export function actionSheet(hint, items) {
  return dialog((close) =>
    h("div", { class: "sheet actions", role: "dialog", "aria-modal": "true", "aria-label": t("more"), testid: "action-sheet" },
      hint && h("p", { class: "actions-hint" }, hint),
      items.map(({ id, text, danger }) =>
        h("button", { type: "button", class: danger ? "action danger" : "action", testid: `action-${id}`, onclick: () => close(id) }, text)),
      h("button", { type: "button", class: "action apart", testid: "action-cancel", onclick: () => close(null) }, t("cancel"))), null);
}

/** wx.showModal. */
export function modal({ title = "", content = "", showCancel = true, confirmText, cancelText }) {
  return dialog((close) =>
    h("div", { class: "modal", role: "alertdialog", "aria-modal": "true", "aria-labelledby": "modal-title", testid: "modal" },
      h("h2", { id: "modal-title" }, title), h("p", {}, content),
      h("div", { class: "modal-buttons" },
        showCancel && h("button", { type: "button", testid: "modal-cancel", onclick: () => close({ confirm: false, cancel: true }) }, cancelText || t("cancel")),
        h("button", { type: "button", class: "confirm", testid: "modal-confirm", "data-focus": "", onclick: () => close({ confirm: true, cancel: false }) }, confirmText || t("confirm")))),
  { confirm: false, cancel: true });
}

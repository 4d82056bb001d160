// 服务通知: the message cards, oldest first as in a WeChat chat, and the banner of a new one.

import * as api from "./api.js";
import { appIcon, h, icon } from "./dom.js";
import { t, when } from "./i18n.js";
import { hasOwn, openOwn } from "./own.js";
import { actionSheet } from "./sheets.js";
import { app, attempt, refresh, show, state, toast } from "./store.js";

export function noticesView() {
  const cards = [...(state.user?.cards ?? [])].reverse();
  if (cards.length === 0) {
    return [h("div", { class: "blank" }, icon("bell"), h("p", {}, t("notices_empty")), h("p", { class: "hint" }, t("notices_empty_hint")))];
  }
  let last = 0;
  const list = [];
  for (const card of cards) {
    // WeChat writes the time above a card unless it follows closely.
    if (card.at - last > 60_000) list.push(h("p", { class: "stamp" }, when(card.at)));
    last = card.at;
    list.push(messageCard(card));
  }
  return [h("div", { class: "cards", role: "list" }, list)];
}

function messageCard(card) {
  const open = () => {
    if (!card.page) return;
    if (hasOwn()) openOwn(card.page);
    else show("page", { page: card.page });
  };
  const titleId = `card-${card.msgid}`;
  return h("article", { class: "card", role: "listitem", testid: "card", "aria-labelledby": titleId },
    h("header", {}, appIcon(app(), "small"), h("span", { class: "card-app" }, app().name),
      h("button", { type: "button", class: "icon-button", id: `menu-${card.msgid}`, testid: "card-menu",
        "aria-haspopup": "menu", "aria-label": t("card_menu", { title: card.title }), onclick: () => menu(card) }, icon("dots"))),
    h("div", { class: "card-body", onclick: open },
      h("h3", { id: titleId, testid: "card-title" }, card.title),
      h("dl", {}, card.fields.map(({ label, value }) => [h("dt", {}, label), h("dd", {}, value)]))),
    card.page && h("button", { type: "button", class: "card-foot", id: `open-${card.msgid}`, testid: "card-open", onclick: open },
      h("span", {}, t("enter")), icon("next")));
}

async function menu(card) {
  const chosen = await actionSheet(t("refuse_hint", { title: card.title }), [{ id: "refuse", text: t("refuse"), danger: true }]);
  if (chosen !== "refuse") return;
  await attempt(async () => {
    await api.settings(state.appid, state.openid, { [card.template_id]: "reject" });
    await refresh();
    toast(t("refused_toast"));
  });
}

let hide = 0;
/** The notification that slides in from above. */
export function banner(place, card) {
  const lines = card.fields.map(({ value }) => value).filter(Boolean).join(" · ");
  const open = () => {
    place.replaceChildren();
    show("notices");
  };
  place.replaceChildren(h("button", { type: "button", class: "banner", testid: "banner", onclick: open },
    appIcon(app(), "medium"),
    h("span", { class: "cell-main" },
      h("span", { class: "banner-title" }, t("arrived"), h("time", {}, t("now"))),
      h("span", { class: "banner-text" }, `${app().name}：${card.title}`),
      h("span", { class: "banner-text faint" }, lines))));
  clearTimeout(hide);
  hide = setTimeout(() => place.replaceChildren(), 4500);
}

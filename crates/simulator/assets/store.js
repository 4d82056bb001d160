// What the page knows, and the calls that change it. Views read `state`; `changed` tells them to draw again.

import * as api from "./api.js";
import { t } from "./i18n.js";

export const state = {
  apps: [],
  users: [],
  appid: null,
  openid: null,
  user: null,
  sends: [],
  callbacks: [],
  chats: [],
  chatting: null,
  faults: null,
  faultLog: [],
  counters: null,
  view: { name: "mini" },
  unread: 0,
  online: true,
  toast: null,
  verification: null,
  chosen: new Map(),
  lastResult: null,
  tapResults: {},
  loginCode: null,
};

const listeners = new Set();
/** Calls the listener after every change; gives what ends that. */
export const onChange = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

let drawing = false;
/** Draws once for all changes of this turn. */
export function changed() {
  if (drawing) return;
  drawing = true;
  queueMicrotask(() => {
    drawing = false;
    for (const listener of listeners) listener();
  });
}

export const app = () => state.apps.find((one) => one.appid === state.appid) ?? null;

export function show(name, extra = {}) {
  state.view = { name, ...extra };
  state.toast = null;
  document.getElementById("banner").replaceChildren();
  if (name === "notices") state.unread = 0;
  changed();
}

let toastTimer = 0;
export function toast(text) {
  state.toast = text;
  changed();
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    state.toast = null;
    changed();
  }, 2600);
}

/** Runs an action; a failure is shown, not lost. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    toast(t("failed", { error: error.message }));
    return undefined;
  }
}

export async function loadApps() {
  state.apps = (await api.apps()).items;
  if (!app()) await chooseApp(state.apps[0]?.appid ?? null);
  changed();
}

export async function chooseApp(appid) {
  Object.assign(state, { appid, openid: null, user: null, users: [], verification: null, lastResult: null, tapResults: {}, loginCode: null,
    faults: null, faultLog: [], counters: null });
  if (appid) {
    state.users = (await api.users(appid)).items;
    await chooseUser(state.users[0]?.openid ?? null);
  } else {
    await chooseUser(null);
  }
}

let unwatch = null;
export async function chooseUser(openid) {
  Object.assign(state, { openid, user: null, sends: [], callbacks: [], chats: [], chatting: null, loginCode: null, unread: 0 });
  unwatch?.();
  // An app without a user is still watched: a user may come from elsewhere.
  unwatch = api.watch(state.appid ?? "-", openid ?? "-", onLive);
  if (openid) await refresh();
  changed();
}

export async function createUser(nickname) {
  const name = nickname.trim() || t("default_nick");
  const { openid } = await api.addUser(state.appid, name);
  state.users = (await api.users(state.appid)).items;
  if (!state.users.some((one) => one.openid === openid)) state.users.push({ openid, nickname: name });
  await chooseUser(openid);
}

export async function refresh() {
  const { appid, openid } = state;
  if (!openid) return;
  const [user, sends, callbacks, chats, faults, faultLog, counters] = await Promise.all([
    api.getUser(appid, openid),
    api.records(appid, "sends", openid),
    api.records(appid, "callbacks", openid),
    api.records(appid, "chats", openid),
    api.faults(appid),
    api.faultLog(appid),
    api.counters(appid),
  ]);
  if (state.openid !== openid || state.appid !== appid) return;
  Object.assign(state, { user, sends: sends.items, callbacks: callbacks.items, chats: chats.items, faults, faultLog: faultLog.items, counters });
  changed();
}

// Many events in a row cause one reading.
let pending = false;
function refreshSoon() {
  if (pending) return;
  pending = true;
  setTimeout(() => {
    pending = false;
    refresh().catch(() => {});
  }, 60);
}

let onCard = () => {};
export const whenCardArrives = (handler) => {
  onCard = handler;
};

function onLive(kind, event) {
  if (kind === "ready") state.online = true;
  if (kind === "app") loadApps().catch(() => {});
  if (kind === "user" && event.data.gone) {
    // An account was closed: somebody else takes the phone.
    state.users = state.users.filter((one) => one.openid !== event.openid);
    if (event.openid === state.openid) {
      state.view = { name: "mini" };
      chooseUser(state.users[0]?.openid ?? null).catch(() => {});
    }
  } else if (kind === "user" && event.openid && !state.users.some((one) => one.openid === event.openid)) {
    api.users(state.appid).then((list) => {
      state.users = list.items;
      return state.openid ? changed() : chooseUser(list.items[0]?.openid ?? null);
    }, () => {});
  }
  if (kind === "card" && event.openid === state.openid) {
    if (state.view.name !== "notices") state.unread += 1;
    onCard(event.data);
  }
  refreshSoon();
  changed();
}

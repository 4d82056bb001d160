// Makes an H5 build in the phone a mini program: `wx` (and `uni`, where uni-app leaves a call to it) is answered by the
// simulated WeChat. Included by the page that is opened; the phone around it is spoken to by messages.
//   <script type="module" src="http://127.0.0.1:8701/bridge.js"></script>

import { createWx } from "./assets/wx.js";

const given = new URLSearchParams(location.search);
const waiting = new Map();
let number = 0;

/** Asks the phone for something that only it has. */
const phone = (call, ...args) => new Promise((resolve, reject) => {
  number += 1;
  waiting.set(number, { resolve, reject });
  parent.postMessage({ hongyan: "mini-program", id: number, call, args }, "*");
});

window.addEventListener("message", ({ source, data }) => {
  if (source !== parent || data?.hongyan !== "phone") return;
  if (data.open) return open(data.open);
  const { resolve, reject } = waiting.get(data.id) ?? {};
  waiting.delete(data.id);
  if (data.error) reject?.(new Error(data.error));
  else resolve?.(data.result);
});

/** A card was tapped. A page that does not keep its place behind `#/` listens for the event and prevents what is done here. */
function open(page) {
  const event = new CustomEvent("hongyan:open", { detail: page, cancelable: true });
  if (window.dispatchEvent(event)) location.hash = `#/${page}`;
}

const wx = createWx({
  appId: given.get("hongyan_appid") ?? "",
  openid: given.get("hongyan_openid") ?? "",
  app: () => phone("app"),
  user: () => phone("user"),
  login: () => phone("login"),
  ask: (templates) => phone("ask", templates),
  decide: (decisions, alwaysKeep) => phone("decide", decisions, alwaysKeep),
  showModal: ({ title, content, showCancel, confirmText, cancelText }) => phone("showModal", { title, content, showCancel, confirmText, cancelText }),
  openSettings: () => phone("openSettings"),
});

// In a window of its own the page is what it is without the phone.
if (parent !== window) {
  for (const name of ["wx", "uni"]) {
    const here = Object.assign(window[name] ?? {}, wx);
    // uni-app's runtime puts empty objects here: what is set is added, and nothing of ours is lost.
    Object.defineProperty(window, name, { configurable: true, get: () => here, set: (value) => Object.assign(here, value, wx) });
  }
  phone("hello");
}

// The user's settings for subscribe messages, and the way to their page. Used by teams' pages through `index`.

import type { Host } from "./host.js";
import { SubscribeError, type Lang } from "./faults.js";

/** What `getSetting` tells. WeChat lists only what is "always kept"; a template that is not listed asks each time. */
export interface Settings {
  /** The switch for all subscribe messages; undefined where WeChat does not say. */
  mainSwitch: boolean | undefined;
  /** Template id to the choice that is kept. */
  kept: { [templateId: string]: "accept" | "reject" | "ban" };
  /** Of these no popup will come: the main switch is off, or "reject" is kept. */
  blocked: (templateIds: string[]) => string[];
}

/** Reads the settings. Needs no tap. */
export function readSettings(host: Host, lang: Lang): Promise<Settings> {
  return new Promise((resolve, reject) => {
    const { getSetting } = host;
    if (!getSetting) return reject(new SubscribeError("unsupported", lang));
    getSetting({ withSubscriptions: true, success: (result) => resolve(read(result)), fail: reject });
  });
}

function read(result: { subscriptionsSetting?: { mainSwitch?: boolean; itemSettings?: { [id: string]: string } } }): Settings {
  const all = result.subscriptionsSetting || {};
  const kept: Settings["kept"] = {};
  const items = all.itemSettings || {};
  Object.keys(items).forEach((id) => {
    const word = String(items[id]);
    kept[id] = /^accept/.test(word) ? "accept" : word === "ban" ? "ban" : "reject";
  });
  const refuses = (id: string) => kept[id] === "reject" || kept[id] === "ban";
  return { mainSwitch: all.mainSwitch, kept, blocked: (ids) => (all.mainSwitch === false ? ids : ids.filter(refuses)) };
}

/** Texts of the dialog that leads to the settings page. */
export interface Guidance {
  title?: string;
  content?: string;
  confirmText?: string;
}

/**
 * Asks whether to open the settings page, opens it, and reads what is set afterwards; `null` where the user declined.
 * The dialog's button is a tap, which the settings page needs.
 */
export function leadToSettings(host: Host, lang: Lang, guidance: Guidance = {}): Promise<Settings | null> {
  const en = lang === "en";
  const title = guidance.title || (en ? "Notices are off" : "通知未开启");
  const content = guidance.content || (en ? "Allow notices in the settings to receive them." : "请在设置中允许接收通知，以便及时收到消息。");
  return new Promise((resolve, reject) => {
    const { showModal, openSetting } = host;
    if (!showModal || !openSetting) return reject(new SubscribeError("unsupported", lang));
    const open = (choice: { confirm?: boolean }) => {
      if (!choice.confirm) return resolve(null);
      openSetting({ withSubscriptions: true, success: () => readSettings(host, lang).then(resolve, reject), fail: reject });
    };
    // Four characters is what the button holds.
    showModal({ title, content, confirmText: guidance.confirmText || (en ? "Open" : "去设置"), success: open, fail: reject });
  });
}

import type { Host } from "./host.js";
import { type Lang } from "./faults.js";
/** What `getSetting` tells. WeChat lists only what is "always kept"; a template that is not listed asks each time. */
export interface Settings {
    /** The switch for all subscribe messages; undefined where WeChat does not say. */
    mainSwitch: boolean | undefined;
    /** Template id to the choice that is kept. */
    kept: {
        [templateId: string]: "accept" | "reject" | "ban";
    };
    /** Of these no popup will come: the main switch is off, or "reject" is kept. */
    blocked: (templateIds: string[]) => string[];
}
/** Reads the settings. Needs no tap. */
export declare function readSettings(host: Host, lang: Lang): Promise<Settings>;
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
export declare function leadToSettings(host: Host, lang: Lang, guidance?: Guidance): Promise<Settings | null>;

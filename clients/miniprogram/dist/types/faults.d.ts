export type Lang = "zh" | "en";
/** A word for each way to fail; it does not change with WeChat's texts. */
export type Reason = "no_ids" | "list_unavailable" | "submit_failed" | "bad_id" | "in_background" | "unknown_template" | "mixed_types" | "too_many" | "main_switch_off" | "banned" | "device_template" | "no_tap" | "busy" | "same_title" | "unsupported" | "not_ready" | "nothing_to_ask" | "unknown";
/** A failure with its meaning and its remedy. */
export declare class SubscribeError extends Error {
    /** A stable word. */
    reason: Reason;
    /** WeChat's number, where it gave one. */
    errCode: number | undefined;
    /** WeChat's own text. */
    errMsg: string;
    /** What it means. */
    meaning: string;
    /** What to do. */
    remedy: string;
    /** Whether the settings page is the way out: see `guide`. */
    settings: boolean;
    constructor(reason: Reason, lang: Lang, errMsg?: string, errCode?: number);
}
/** What a failure of `requestSubscribeMessage` means. Takes what `fail` was called with. */
export declare function explain(failure: unknown, lang?: Lang): SubscribeError;

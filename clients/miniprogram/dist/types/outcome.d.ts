/** One template's result. `other` is a word that is not documented. */
export type Result = "accept" | "reject" | "ban" | "filter" | "other";
/** The answer to one request. */
export interface Outcome {
    /** Template id to result. */
    results: {
        [templateId: string]: Result;
    };
    /** The user allows a message of these. */
    accepted: string[];
    /** The user does not. */
    rejected: string[];
    /** WeChat banned the template. */
    banned: string[];
    /** Dropped by WeChat: another of the same title was asked for. */
    filtered: string[];
    /** Not asked for in this call: see `Plan.left`. */
    left: string[];
    /** Names this act of the user: reported twice, it counts once. */
    actId: string;
}
/** Puts an answer of `requestSubscribeMessage` in order. */
export declare function normalise(raw: {
    [key: string]: unknown;
}, left: string[], actId: string): Outcome;
/** A name for an act: nobody need guess it, two must not be equal. */
export declare function newActId(): string;

import type { Reason } from "./faults.js";
/** What is known of a template: Hongyan's `/ask` tells it, or the team writes it down. */
export interface Template {
    template_id: string;
    title?: string;
    type?: "one_time" | "long_term";
}
/** What one tap can ask for. */
export interface Plan {
    /** For this call. */
    now: string[];
    /** For the next tap: another type, or beyond the limit. */
    left: string[];
    /** Why nothing can be asked for. */
    reason?: Reason;
}
/** Sorts ids into this call and the next; the first decides the type. */
export declare function plan(wanted: string[], known: Template[], max: number): Plan;

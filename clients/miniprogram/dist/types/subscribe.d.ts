import { SubscribeError, type Lang } from "./faults.js";
import { type Callbacks, type Host } from "./host.js";
import { type Outcome } from "./outcome.js";
import { type Template } from "./plan.js";
/** How to ask. */
export interface SubscribeOptions extends Callbacks<Outcome, SubscribeError> {
    /** What is known of the templates: then types are kept apart and equal titles refused. */
    templates?: Template[];
    /** Templates of one call, 5 unless given. */
    max?: number;
    /** `wx` or `uni`, found unless given. */
    host?: Host;
    /** Of the explanations; zh unless given. */
    lang?: Lang;
}
/** Asks the user. Call it first thing in a tap handler, or in the callback of a payment. */
export declare function subscribe(templateIds: string | string[], options: SubscribeOptions & {
    success: (outcome: Outcome) => void;
}): undefined;
export declare function subscribe(templateIds: string | string[], options?: SubscribeOptions): Promise<Outcome>;
export declare function request(ids: string[], options: SubscribeOptions): Promise<Outcome>;

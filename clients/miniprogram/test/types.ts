// Compiled, not run: the kit takes WeChat's and uni-app's own objects as their typings have them.

import { createHongyan, subscribe, type Host, type Outcome } from "../src/index.js";

const native: Host = wx;
const app: Host = uni;

export const both = [native, app].map((host) => subscribe(["A"], { host }).then((outcome: Outcome) => outcome.accepted));
export const nothing: undefined = subscribe("A", { success: ({ left }) => left.length });
export const hongyan = createHongyan({ baseUrl: "https://push.example.com", session: () => Promise.resolve("S") });
hongyan.subscribe(null, { fail: (error) => error.remedy.length });

// @ts-expect-error ids are texts
subscribe([1]);
// @ts-expect-error a server has an address
createHongyan({});

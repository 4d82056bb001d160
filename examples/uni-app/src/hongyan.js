// The kit, once for the whole mini program.

import { createHongyan } from "hongyan-subscribe";

let baseUrl = import.meta.env.VITE_HONGYAN_URL || "http://127.0.0.1:8700";
// #ifdef H5
// In the simulated phone, the phone says where the service is.
baseUrl = new URLSearchParams(location.search).get("hongyan") || baseUrl;
// #endif

// A team with a login of its own gives `session` instead: a function that gets a token from its back end.
export const hongyan = createHongyan({ baseUrl, login: true });

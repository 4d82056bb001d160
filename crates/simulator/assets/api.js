// Calls of the simulator's control API. Paths are relative, so that the page also works behind a prefix.

async function call(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(`_sim/${path}`, options);
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    answer = null;
  }
  if (!response.ok) throw new Error(answer?.error ?? `HTTP ${response.status}`);
  return answer;
}

const seg = encodeURIComponent;
const user = (appid, openid) => `apps/${seg(appid)}/users/${seg(openid)}`;

export const apps = () => call("GET", "apps");
export const users = (appid) => call("GET", `apps/${seg(appid)}/users`);
export const addUser = (appid, nickname) => call("POST", `apps/${seg(appid)}/users`, { nickname });
export const getUser = (appid, openid) => call("GET", user(appid, openid));
export const popup = (appid, openid, decisions, alwaysKeep) =>
  call("POST", `${user(appid, openid)}/popup`, { decisions, always_keep: alwaysKeep });
export const settings = (appid, openid, change) => call("POST", `${user(appid, openid)}/settings`, change);
export const chat = (appid, openid, text) => call("POST", `${user(appid, openid)}/chat`, { text });
export const login = (appid, openid) => call("POST", `${user(appid, openid)}/login`);
export const authorization = (appid, openid, act) => call("POST", `${user(appid, openid)}/authorization`, act);
export const pushEvent = (appid, openid, event, fields) => call("POST", `${user(appid, openid)}/event`, { event, fields });
export const setMiniProgram = (appid, url) => call("PUT", `apps/${seg(appid)}/mini-program`, { url });
export const faults = (appid) => call("GET", `apps/${seg(appid)}/faults`);
export const setFaults = (appid, script) => call("PUT", `apps/${seg(appid)}/faults`, script);
export const faultLog = (appid) => call("GET", `apps/${seg(appid)}/faults/log?limit=6`);
export const counters = (appid) => call("GET", `apps/${seg(appid)}/counters`);
export const verify = (appid) => call("POST", `apps/${seg(appid)}/verify`);
export const records = (appid, kind, openid) =>
  call("GET", `apps/${seg(appid)}/records?kind=${kind}&limit=8&openid=${seg(openid)}`);

/** Live events; the browser reconnects by itself. */
export function watch(appid, openid, on) {
  const source = new EventSource(`_sim/events?appid=${seg(appid)}&openid=${seg(openid)}`);
  for (const kind of ["ready", "missed", "app", "user", "grant", "send", "card", "callback", "chat", "fault", "faults"]) {
    source.addEventListener(kind, (event) => on(kind, kind === "ready" || kind === "missed" ? null : JSON.parse(event.data)));
  }
  return () => source.close();
}

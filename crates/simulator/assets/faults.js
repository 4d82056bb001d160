// The panel's faults: what shall go wrong at this app, added from a list of common ones, and what went wrong.

import * as api from "./api.js";
import { h } from "./dom.js";
import { seconds, t } from "./i18n.js";
import { attempt, changed, refresh, state } from "./store.js";

// Name in i18n (fault_NAME) and the rule, by what it befalls.
const COMMON = {
  send: {
    busy: { fault: "errcode", errcode: -1 },
    busy_sent: { fault: "errcode", errcode: -1, effect: true },
    cut_before: { fault: "cut_before_body" },
    cut_sent: { fault: "cut_after_body" },
    cut_unsent: { fault: "cut_after_body", effect: false },
    half: { fault: "half_body" },
    http_503: { fault: "http_status", status: 503 },
    html: { fault: "html", status: 502 },
    hang: { fault: "hang" },
    slow: { fault: "latency", delay_ms: 3000 },
    revoke: { fault: "revoke_tokens" },
    no_msgid: { fault: "msgid_absent" },
    no_errcode: { fault: "errcode_absent" },
  },
  tokens: {
    secret: { fault: "errcode", errcode: 40125 },
    ip: { fault: "errcode", errcode: 40164 },
    html: { fault: "html" },
    hang: { fault: "hang" },
    cut: { fault: "cut_after_body" },
  },
  push: {
    twice: { fault: "duplicate", times: 2 },
    late: { fault: "latency", delay_ms: 5000 },
    reorder: { fault: "reorder" },
    lost: { fault: "lost" },
    retry: { fault: "retry_anyway" },
  },
  receipt: {
    overtake: { fault: "overtake" },
    no_msgid: { fault: "msgid_absent" },
    other_msgid: { fault: "msgid_other" },
    undelivered: { fault: "undelivered" },
    lost: { fault: "lost" },
  },
};

const OFTEN = {
  always: {},
  once: { next: 1 },
  three: { next: 3 },
  third: { every: 3 },
  tenth: { probability: 0.1 },
  half: { probability: 0.5 },
};

// Kept over redrawing.
const draft = { what: "send busy", often: "once", mine: false };

const turnKeys = ["probability", "every", "next", "from", "to"];

/** The rule in words; one that no list has, as it stands. */
function told(rule) {
  const plain = { ...rule };
  for (const key of ["on", "openid", ...turnKeys]) delete plain[key];
  const same = (known) => JSON.stringify(Object.entries(known).sort()) === JSON.stringify(Object.entries(plain).sort());
  const found = Object.entries(COMMON[rule.on] ?? {}).find(([, known]) => same(known));
  return found ? `${t(`on_${rule.on}`)} · ${t(`fault_${found[0]}`)}` : `${rule.on} · ${JSON.stringify(plain)}`;
}

function oftenTold(rule) {
  const parts = [];
  if (rule.probability !== undefined) parts.push(t("often_probability", { n: Math.round(rule.probability * 1000) / 10 }));
  if (rule.every) parts.push(t("often_every", { n: rule.every }));
  if (rule.next) parts.push(t("often_next", { n: rule.next }));
  if (rule.from || rule.to) parts.push(t("often_range", { from: rule.from ?? 1, to: rule.to ?? "∞" }));
  if (parts.length === 0) parts.push(t("often_always"));
  if (rule.openid) parts.push(rule.openid === state.openid ? t("only_me") : rule.openid);
  return parts.join(" · ");
}

const put = (rules) => attempt(async () => {
  await api.setFaults(state.appid, { rules });
  await refresh();
});

function form(rules) {
  const keep = (name) => (event) => {
    draft[name] = event.target.type === "checkbox" ? event.target.checked : event.target.value;
    changed();
  };
  const forPeople = !draft.what.startsWith("tokens ");
  const add = (event) => {
    event.preventDefault();
    const [on, name] = draft.what.split(" ");
    const rule = { on, ...COMMON[on][name], ...OFTEN[draft.often] };
    if (draft.mine && forPeople) rule.openid = state.openid;
    put([...rules, rule]);
  };
  const groups = Object.entries(COMMON).map(([on, faults]) => h("optgroup", { label: t(`on_${on}`) },
    Object.keys(faults).map((name) => h("option", { value: `${on} ${name}`, selected: draft.what === `${on} ${name}` }, t(`fault_${name}`)))));
  return h("form", { class: "fault-form", onsubmit: add },
    h("label", { class: "field" }, h("span", {}, t("fault_what")),
      h("select", { id: "fault-what", testid: "fault-what", onchange: keep("what") }, groups)),
    h("label", { class: "field" }, h("span", {}, t("fault_often")),
      h("select", { id: "fault-often", testid: "fault-often", onchange: keep("often") },
        Object.keys(OFTEN).map((name) => h("option", { value: name, selected: draft.often === name }, t(`often_${name}`))))),
    h("div", { class: "inline spread" },
      h("label", { class: "check" },
        h("input", { type: "checkbox", id: "fault-mine", testid: "fault-mine", checked: draft.mine && forPeople, disabled: !forPeople, onchange: keep("mine") }),
        h("span", {}, t("only_me"))),
      h("button", { type: "submit", class: "mini-button", testid: "fault-add" }, t("fault_add"))));
}

function inForce({ rules, states }) {
  const row = (rule, at) => h("li", { class: "rule" },
    h("span", { class: "grow" }, h("span", { class: "rule-what" }, told(rule)),
      h("span", { class: "faint" }, `${oftenTold(rule)} · ${t("fault_struck", { fired: states[at].fired, seen: states[at].seen })}`)),
    h("button", { type: "button", class: "icon-button", testid: `fault-remove-${at}`, id: `fault-remove-${at}`,
      "aria-label": t("fault_remove", { what: told(rule) }), onclick: () => put(rules.filter((_, one) => one !== at)) }, "×"));
  return [h("ul", { class: "log", testid: "fault-rules" }, rules.map(row)),
    h("button", { type: "button", class: "plain-button", testid: "fault-clear", id: "fault-clear", onclick: () => put([]) }, t("fault_clear"))];
}

function happened(log) {
  const outcome = (one) => {
    if (one.hung_up) return t("fault_hung_up");
    if (one.effect === null) return "";
    return t(one.effect ? "fault_effect" : "fault_no_effect");
  };
  // The rule that struck may be gone, and another may have its place.
  const name = (one) => {
    const rule = state.faults.rules[one.rule];
    return rule?.fault === one.fault ? told(rule) : [t(`on_${one.on}`), one.fault].join(" · ");
  };
  return h("ul", { class: "log", testid: "fault-log" }, log.map((one) => h("li", { class: "rule" },
    h("span", { class: one.ambiguous ? "dot bad" : "dot faint" }),
    h("span", { class: "grow" }, h("span", { class: "rule-what" }, name(one)),
      h("span", { class: "faint" }, [outcome(one), one.ambiguous && t("fault_unsure")].filter(Boolean).join(" · "))),
    h("time", {}, seconds(one.at)))));
}

export function faultsView() {
  const faults = state.faults ?? { rules: [], states: [] };
  const counters = state.counters;
  return h("section", { class: "box", testid: "faults" },
    h("h2", {}, t("faults")), h("p", { class: "hint" }, t("faults_hint")),
    form(faults.rules),
    faults.rules.length > 0 ? inForce(faults) : h("p", { class: "hint", testid: "fault-none" }, t("fault_none")),
    counters?.ambiguous > 0 && h("p", { class: "verdict", testid: "fault-unsure" },
      t("fault_count", { all: counters.ambiguous, sent: counters.ambiguous_with_effect })),
    state.faultLog.length > 0 && [h("h3", { class: "box-part" }, t("fault_log")), happened(state.faultLog)]);
}

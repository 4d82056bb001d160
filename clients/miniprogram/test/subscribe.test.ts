import { beforeEach, describe, expect, it, vi } from "vitest";
import { fakeWx } from "./wx.js";

type Kit = typeof import("../src/index.js");
let kit: Kit;
beforeEach(async () => {
  // What the kit learned of WeChat's limit is the module's own.
  vi.resetModules();
  kit = await import("../src/index.js");
});

const ids = (count: number) => Array.from({ length: count }, (_, at) => `T${at + 1}`);

describe("the request", () => {
  it("reaches WeChat before the tap is over, and puts the answer in order", async () => {
    const host = fakeWx({ popups: [{ A: "accept", B: "reject", C: "ban", D: "filter", E: "acceptWithAudio" }] });
    const asked = kit.subscribe(["A", "B", "C", "D", "E"], { host });
    expect(host.asked, "at once, not after a promise").toEqual([["A", "B", "C", "D", "E"]]);
    const outcome = await asked;
    expect(outcome).toMatchObject({ accepted: ["A", "E"], rejected: ["B"], banned: ["C"], filtered: ["D"], left: [] });
    expect(outcome.results).toEqual({ A: "accept", B: "reject", C: "ban", D: "filter", E: "accept" });
    expect(outcome.actId).toMatch(/^[0-9a-z-]{20,64}$/);
  });

  it("takes words that WeChat may invent, and ignores what is not a template", async () => {
    const host = fakeWx({ popups: [{ A: "acceptWithAlert", B: "later", errCode: "0" }] });
    const outcome = await kit.subscribe(["A", "B"], { host });
    expect(outcome.results).toEqual({ A: "accept", B: "other" });
    expect(outcome.rejected).toEqual([]);
  });

  it("takes one id, drops repeated and empty ones", async () => {
    const host = fakeWx();
    await kit.subscribe("A", { host });
    await kit.subscribe(["A", "", "B", "A"], { host });
    expect(host.asked).toEqual([["A"], ["A", "B"]]);
  });

  it("speaks in callbacks where one is given", async () => {
    const seen: unknown[] = [];
    const host = fakeWx({ popups: [undefined, { errMsg: "requestSubscribeMessage:fail", errCode: 20004 }] });
    const nothing = kit.subscribe("A", { host, success: (o) => seen.push(o.accepted), complete: () => seen.push("end") });
    expect(nothing).toBeUndefined();
    await vi.waitFor(() => expect(seen).toEqual([["A"], "end"]));
    kit.subscribe("A", { host, fail: (error) => seen.push(error.reason) } as never);
    await vi.waitFor(() => expect(seen).toEqual([["A"], "end", "main_switch_off"]));
  });

  it("gives each act another name", async () => {
    const host = fakeWx();
    const names = new Set<string>();
    for (let at = 0; at < 200; at += 1) names.add((await kit.subscribe("A", { host })).actId);
    expect(names.size).toBe(200);
  });
});

describe("one call's limits", () => {
  const known = [
    { template_id: "A", title: "缴费通知", type: "one_time" as const },
    { template_id: "B", title: "维修进度", type: "one_time" as const },
    { template_id: "L", title: "账单", type: "long_term" as const },
    { template_id: "A2", title: "缴费通知", type: "one_time" as const },
  ];

  it("asks for five and leaves the rest for the next tap", async () => {
    const host = fakeWx();
    const outcome = await kit.subscribe(ids(7), { host });
    expect(host.asked).toEqual([ids(5)]);
    expect(outcome.left).toEqual(["T6", "T7"]);
  });

  it("asks an older WeChat for three, at once and from then on", async () => {
    const host = fakeWx({ popups: [{ errMsg: "requestSubscribeMessage:fail", errCode: 20003 }] });
    const outcome = await kit.subscribe(ids(5), { host });
    expect(host.asked).toEqual([ids(5), ids(3)]);
    expect(outcome.left).toEqual(["T4", "T5"]);
    await kit.subscribe(ids(5), { host });
    expect(host.asked[2]).toEqual(ids(3));
  });

  it("says that there were too many where the tap was over by then", async () => {
    const late = { errMsg: "requestSubscribeMessage:fail can only be invoked by user TAP gesture." };
    const host = fakeWx({ popups: [{ errMsg: "requestSubscribeMessage:fail", errCode: 20003 }, late] });
    await expect(kit.subscribe(ids(5), { host })).rejects.toMatchObject({ reason: "too_many" });
  });

  it("never mixes one-time and long-term templates", async () => {
    const host = fakeWx();
    const outcome = await kit.subscribe(["A", "L", "B"], { host, templates: known });
    expect(host.asked).toEqual([["A", "B"]]);
    expect(outcome.left).toEqual(["L"]);
    expect(kit.plan(["L", "A"], known, 5)).toEqual({ now: ["L"], left: ["A"] });
  });

  it("refuses templates of equal title, which WeChat would drop", async () => {
    const host = fakeWx();
    await expect(kit.subscribe(["A", "A2"], { host, templates: known })).rejects.toMatchObject({ reason: "same_title" });
    expect(host.asked).toEqual([]);
    await expect(kit.subscribe([], { host })).rejects.toMatchObject({ reason: "no_ids" });
    await expect(kit.subscribe([7 as never], { host })).rejects.toMatchObject({ reason: "bad_id" });
  });

  it("does not ask twice at the same time", async () => {
    const host = fakeWx();
    const first = kit.subscribe("A", { host });
    await expect(kit.subscribe("A", { host })).rejects.toMatchObject({ reason: "busy" });
    await first;
    await kit.subscribe("A", { host });
    expect(host.asked.length).toBe(2);
  });
});

describe("every documented failure", () => {
  const failures: [unknown, string][] = [
    [{ errMsg: "requestSubscribeMessage:fail TmplIds can't be empty", errCode: 10001 }, "no_ids"],
    [{ errMsg: "requestSubscribeMessage:fail Request list fail", errCode: 10002 }, "list_unavailable"],
    [{ errMsg: "requestSubscribeMessage:fail Request subscribe fail", errCode: 10003 }, "submit_failed"],
    [{ errMsg: "requestSubscribeMessage:fail Invalid template id", errCode: 10004 }, "bad_id"],
    [{ errMsg: "requestSubscribeMessage:fail Cannot show subscribe message UI", errCode: 10005 }, "in_background"],
    [{ errMsg: "requestSubscribeMessage:fail No template data return", errCode: 20001 }, "unknown_template"],
    [{ errMsg: "requestSubscribeMessage:fail Templates type must be same", errCode: 20002 }, "mixed_types"],
    [{ errMsg: "requestSubscribeMessage:fail Templates count out of max bounds", errCode: 20003 }, "too_many"],
    [{ errMsg: "requestSubscribeMessage:fail The main switch is switched off", errCode: 20004 }, "main_switch_off"],
    [{ errMsg: "requestSubscribeMessage:fail banned", errCode: 20005 }, "banned"],
    [{ errMsg: "requestSubscribeMessage:fail device", errCode: "20013" }, "device_template"],
    [{ errMsg: "requestSubscribeMessage:fail can only be invoked by user TAP gesture." }, "no_tap"],
    [{ errMsg: "requestSubscribeMessage:fail last call has not ended" }, "busy"],
    [{ errMsg: "requestSubscribeMessage:fail something new", errCode: 31337 }, "unknown"],
  ];
  it.each(failures)("%j", async (failure, reason) => {
    const host = fakeWx({ popups: [failure, failure] });
    const error = await kit.subscribe(["A"], { host }).then(() => null, (error) => error);
    expect(error).toBeInstanceOf(kit.SubscribeError);
    expect(error.reason).toBe(reason);
    expect(error.errMsg).toBe((failure as { errMsg: string }).errMsg);
    expect(error.settings).toBe(reason === "main_switch_off");
    const english = kit.explain(failure, "en");
    expect(english.meaning).toMatch(/^[\x20-\x7e]+$/);
    expect(english.remedy).toMatch(/^[\x20-\x7e]+$/);
    expect(error.meaning).toMatch(/[\u4e00-\u9fff]/);
    // The next tap can ask again.
    await kit.subscribe(["A"], { host: fakeWx() });
  });

  it("says where there is no such call, or where it throws", async () => {
    await expect(kit.subscribe("A", { host: {} })).rejects.toMatchObject({ reason: "unsupported" });
    const throws = { requestSubscribeMessage: () => { throw new Error("not supported"); } };
    await expect(kit.subscribe("A", { host: throws })).rejects.toMatchObject({ reason: "unsupported" });
    expect(kit.explain(undefined).reason).toBe("unknown");
    expect(kit.explain("requestSubscribeMessage:fail can only be invoked by user TAP gesture.").reason).toBe("no_tap");
  });
});

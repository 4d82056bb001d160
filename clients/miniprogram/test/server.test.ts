import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createHongyan } from "../src/index.js";
import { fakeWx } from "./wx.js";

const ask = { template_ids: ["A", "B"], templates: [{ template_id: "A", title: "一", type: "one_time" }], report: true };
const ok = (data: unknown) => ({ statusCode: 200, data });
const baseUrl = "https://push.example.com/base/";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("with a server", () => {
  it("fetches the ids before the tap, and asks for them in it", async () => {
    const host = fakeWx({ answers: [ok({ ...ask, report: false })] });
    const hongyan = createHongyan({ baseUrl, host, session: () => "S1" });
    await expect(hongyan.subscribe()).rejects.toMatchObject({ reason: "not_ready" });
    await hongyan.ready();
    const asked = hongyan.subscribe();
    expect(host.asked).toEqual([["A", "B"]]);
    await asked;
    expect(host.requests).toMatchObject([
      { url: "https://push.example.com/base/mp/wxfake/ask", method: "GET", header: { authorization: "Bearer S1" } },
    ]);
    expect(host.logins, "never unless told").toBe(0);
    await expect(hongyan.subscribe(), "both are granted").rejects.toMatchObject({ reason: "nothing_to_ask" });
  });

  it("logs in only where it is told to", async () => {
    const host = fakeWx({ code: "c0de", answers: [ok({ session: "S2", expires_in: 7200 }), ok(ask)] });
    await createHongyan({ baseUrl, host, appId: "wx1", login: true }).ready(["A", "B/C"]);
    expect(host.requests).toMatchObject([
      { url: "https://push.example.com/base/mp/wx1/login", method: "POST", data: { code: "c0de" } },
      { url: "https://push.example.com/base/mp/wx1/ask?template_ids=A,B%2FC", header: { authorization: "Bearer S2" } },
    ]);
    await expect(createHongyan({ baseUrl, host }).ready()).rejects.toThrow("session");
  });

  it("renews an expired session once", async () => {
    const host = fakeWx({ answers: [{ statusCode: 401 }, ok(ask)] });
    let sessions = 0;
    await createHongyan({ baseUrl, host, session: async () => `S${(sessions += 1)}` }).ready();
    expect(host.requests.map(({ header }) => header["authorization"])).toEqual(["Bearer S1", "Bearer S2"]);
    const never = fakeWx({ answers: [{ statusCode: 401, data: { code: "invalid_session", detail: "no" } }] });
    await expect(createHongyan({ baseUrl, host: never, session: () => "S" }).ready()).rejects.toMatchObject({ status: 401, code: "invalid_session" });
    expect(never.requests.length).toBe(2);
  });
});

describe("the report", () => {
  const reports = (host: ReturnType<typeof fakeWx>) => host.requests.filter(({ url }) => url.endsWith("/report"));

  it("is made where events do not arrive, once for an act", async () => {
    const host = fakeWx({ answers: [ok(ask), ok({})], popups: [{ A: "accept", B: "reject" }] });
    const hongyan = createHongyan({ baseUrl, host, session: () => "S" });
    await hongyan.ready();
    const outcome = await hongyan.subscribe();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(reports(host)).toMatchObject([{ method: "POST", data: { act_id: outcome?.actId, results: { A: "accept", B: "reject" }, age_seconds: 0 } }]);
    expect(host.storage["hongyan.acts.wxfake"]).toEqual([]);
  });

  it("is not made where they do, or where the team says never", async () => {
    for (const report of ["auto", "never"] as const) {
      const host = fakeWx({ answers: [ok({ ...ask, report: report === "never" })] });
      const hongyan = createHongyan({ baseUrl, host, report, session: () => "S" });
      await hongyan.ready();
      await hongyan.subscribe();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(reports(host)).toEqual([]);
    }
  });

  it("is tried again, in this run and in the next, with its age", async () => {
    const down = { statusCode: 503 };
    const storage = {};
    const host = fakeWx({ storage, answers: [ok(ask), down] });
    const hongyan = createHongyan({ baseUrl, host, session: () => "S" });
    await hongyan.ready();
    await hongyan.subscribe();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(reports(host).length).toBe(3);
    const again = fakeWx({ storage, answers: [ok(ask), ok({})] });
    // The first request of the next run is the report.
    again.request = ((request) => ({ url, method, data, header, success }: any) => {
      again.requests.push({ url, method, data, header });
      Promise.resolve().then(() => success(url.endsWith("/report") ? ok({}) : ok(ask)));
      void request;
    })(again.request);
    await createHongyan({ baseUrl, host: again, session: () => "S" }).ready();
    await vi.advanceTimersByTimeAsync(0);
    const [first] = reports(host);
    expect(reports(again)).toMatchObject([{ data: { act_id: first?.data.act_id, age_seconds: 60 } }]);
    expect(again.storage["hongyan.acts.wxfake"]).toEqual([]);
  });

  it("is given up where the server will never take it, and kept in memory where the storage is full", async () => {
    const refused = fakeWx({ answers: [ok(ask), { statusCode: 422, data: { code: "unknown_template" } }] });
    const hongyan = createHongyan({ baseUrl, host: refused, session: () => "S" });
    await hongyan.ready();
    await hongyan.subscribe();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(reports(refused).length).toBe(1);
    const full = fakeWx({ answers: [ok(ask), { statusCode: 500 }, ok({})] });
    full.setStorageSync = () => { throw new Error("full"); };
    const other = createHongyan({ baseUrl, host: full, session: () => "S" });
    await other.ready();
    await other.subscribe();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(reports(full).length).toBe(2);
  });
});

describe("the settings", () => {
  it("tell what no popup will come for", async () => {
    const setting = { subscriptionsSetting: { mainSwitch: true, itemSettings: { A: "accept", B: "reject", C: "ban", D: "acceptWithAudio" } } };
    const hongyan = createHongyan({ baseUrl, host: fakeWx({ setting }), session: () => "S" });
    const settings = await hongyan.settings();
    expect(settings.kept).toEqual({ A: "accept", B: "reject", C: "ban", D: "accept" });
    expect(settings.blocked(["A", "B", "C", "X"])).toEqual(["B", "C"]);
    const off = createHongyan({ baseUrl, host: fakeWx({ setting: { subscriptionsSetting: { mainSwitch: false } } }), session: () => "S" });
    expect((await off.settings()).blocked(["A"])).toEqual(["A"]);
    const old = createHongyan({ baseUrl, host: fakeWx(), session: () => "S" });
    expect(await old.settings()).toMatchObject({ mainSwitch: undefined, kept: {} });
  });

  it("are opened only where the user wants it", async () => {
    const yes = fakeWx({ setting: { subscriptionsSetting: { mainSwitch: true } } });
    expect(await createHongyan({ baseUrl, host: yes, session: () => "S" }).guide()).toMatchObject({ mainSwitch: true });
    const no = fakeWx({ confirm: false });
    expect(await createHongyan({ baseUrl, host: no, session: () => "S" }).guide({ content: "…" })).toBeNull();
    expect([yes.opened, no.opened]).toEqual([1, 0]);
  });
});

// Browser test of the simulated phone.
//   node phone.mjs http://127.0.0.1:8701/ DIRECTORY [all]
// Pictures go to the directory: of a failure, or with "all" of every page.
// The address is that of `cargo run -p simulator --example phone`; the browser is $CHROMIUM or Debian's.
// Exits with 1 and the reason when something is not as it should be.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { service } from "./service.mjs";

const [address, shots, all] = process.argv.slice(2);
if (!address || !shots) {
  console.error("usage: node phone.mjs PHONE_URL DIRECTORY [all]");
  process.exit(2);
}
const base = new URL("/", address).href;
const APPID = "wx5a3f0c2b7d9e4186";
const SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const FEE = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ";
const REPAIR = "3gMbhH_bFuZlXiaJffCqXlNoqKvJwz_zUSmr-z1jEyo";
const TAP = "requestSubscribeMessage:fail can only be invoked by user TAP gesture.";

async function json(path, body, method = "POST") {
  const options = body && { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(new URL(path, base), options);
  const text = await response.text();
  assert.ok(response.ok, `${path}: HTTP ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

const user = (openid) => json(`_sim/apps/${APPID}/users/${openid}`);
const subscription = async (openid, template) =>
  (await user(openid)).subscriptions.find((one) => one.template_id === template);

async function send(openid, template, page, data) {
  const { access_token: token } = await json("cgi-bin/stable_token", { grant_type: "client_credential", appid: APPID, secret: SECRET });
  const values = Object.fromEntries(Object.entries(data).map(([key, value]) => [key, { value }]));
  return json(`cgi-bin/message/subscribe/send?access_token=${token}`, { touser: openid, template_id: template, page, data: values, miniprogram_state: "formal", lang: "zh_CN" });
}

const FEE_DATA = { thing8: "2026 年 11 月物业费", thing5: "请于月底前缴纳，谢谢配合" };
const REPAIR_DATA = { thing1: "幸福物业", thing4: "3 栋 1201", name2: "张三", phone_number3: "0571-88886666", thing19: "厨房水管漏水" };

// Another app, for what the sample cannot show: equal titles, a long-term template, too many ids.
const oneTime = (id, title) => ({ id, title, type: "one_time", content: "事项:{{thing1.DATA}}\n", example: "事项:示例\n" });
const OTHER_APP = {
  name: "邻里之家", secret: "another", original_id: "gh_another",
  templates: [oneTime("A", "同名通知"), oneTime("B", "同名通知"), ...["C", "D", "E", "F"].map((id) => oneTime(id, `通知 ${id}`)),
    { id: "L", title: "停水停电通知", type: "long_term", content: "时间:{{time1.DATA}}\n" }],
};

/** wx's own rules, each from a real tap on a button made for it. */
async function rules(page, get, appid) {
  await json(`_sim/apps/${appid}`, OTHER_APP, "PUT");
  await page.locator(`[data-testid="app"] option[value="${appid}"]`).waitFor({ state: "attached" });
  await get("app").selectOption(appid);
  await get("first-user").click();
  await get("subscribe").waitFor();
  const tap = async (body, answer) => {
    await page.evaluate((source) => {
      document.getElementById("try")?.remove();
      const button = Object.assign(document.createElement("button"), { id: "try", textContent: "try" });
      window.tried = undefined;
      const handlers = {
        ids: (ids) => window.wx.requestSubscribeMessage({ tmplIds: ids, complete: (result) => { window.tried = result; } }),
        setting: (ids) => window.wx.getSetting({ withSubscriptions: true, success: () => handlers.ids(ids) }),
        settingAwait: async (ids) => { await window.wx.getSetting({ withSubscriptions: true }); handlers.ids(ids); },
        request: (ids) => window.wx.request({ url: "_sim/apps", success: () => handlers.ids(ids) }),
        modal: (ids) => window.wx.showModal({ title: "提醒", content: "要订阅吗？", success: ({ confirm }) => confirm && handlers.ids(ids) }),
        fetched: async (ids) => { await fetch("_sim/apps"); handlers.ids(ids); },
        twice: (ids) => {
          window.ended = false;
          window.wx.requestSubscribeMessage({ tmplIds: ids, complete: () => { window.ended = true; } });
          handlers.ids(ids);
        },
      };
      button.addEventListener("click", () => handlers[source.how](source.ids));
      button.style.position = "fixed";
      button.style.zIndex = "99";
      button.style.top = "0";
      document.body.append(button);
    }, body);
    await page.locator("#try").click();
    if (answer) await answer();
    await page.waitForFunction(() => window.tried);
    await page.evaluate(() => document.getElementById("try").remove());
    return page.evaluate(() => window.tried);
  };
  const allow = () => get("allow").click();
  const errCode = async (ids) => (await tap({ how: "ids", ids })).errCode;
  assert.equal(await errCode([]), 10001);
  assert.equal(await errCode(["A", "none"]), 20001);
  assert.equal(await errCode(["A", "L"]), 20002);
  assert.equal(await errCode(["A", "B", "C", "D", "E", "F"]), 20003);
  const filtered = await tap({ how: "ids", ids: ["A", "B"] }, allow);
  assert.deepEqual([filtered.A, filtered.B], ["accept", "filter"]);
  for (const how of ["setting", "settingAwait", "request"]) {
    assert.equal((await tap({ how, ids: ["C"] }, allow)).C, "accept", `tap state through ${how}`);
  }
  const modal = await tap({ how: "modal", ids: ["C"] }, async () => {
    await get("modal-confirm").click();
    await allow();
  });
  assert.equal(modal.C, "accept", "tap state through showModal");
  assert.equal((await tap({ how: "fetched", ids: ["C"] })).errMsg, TAP, "lost over a fetch");
  const twice = await tap({ how: "twice", ids: ["C"] });
  assert.equal(twice.errMsg, "requestSubscribeMessage:fail last call has not ended");
  await get("cancel").click();
  await page.waitForFunction(() => window.ended);
  const long = await tap({ how: "ids", ids: ["L"] }, allow);
  assert.equal(long.L, "accept");
}

async function play({ width, height, lang, dark }) {
  const name = `${width}-${lang}-${dark ? "dark" : "light"}`;
  const profile = await mkdtemp(join(tmpdir(), "phone-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    deviceScaleFactor: 2,
    locale: lang === "en" ? "en-GB" : "zh-CN",
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(60_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && faults.push(`console: ${message.text()}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith("data:")) faults.push(`external request: ${request.url()}`);
  });
  const get = (id) => page.getByTestId(id);
  const shot = async (what) => {
    if (!all) return;
    await page.waitForTimeout(450);
    await page.screenshot({ path: join(shots, `${name}-${what}.png`) });
  };
  const narrow = width < 900;
  const panel = async (act) => {
    if (narrow) await get("panel-toggle").click();
    await act();
    if (narrow) await get("panel-close").click();
  };
  const textOf = async (id, pattern) => {
    await page.waitForFunction(([id, source]) => new RegExp(source).test(document.querySelector(`[data-testid="${id}"]`)?.textContent ?? ""), [id, pattern.source]);
    return get(id).textContent();
  };

  try {
    await page.goto(`${base}phone?lang=${lang}`);
    assert.match(await get("ribbon").textContent(), lang === "en" ? /nothing reaches real people/ : /模拟环境，不会发给真实用户/);

    // A user of this run.
    const before = new Set((await json(`_sim/apps/${APPID}/users`)).items.map(({ openid }) => openid));
    await panel(async () => {
      await get("nickname").fill(`业主 ${name}`);
      await get("create-user").click();
      await page.waitForFunction((known) => {
        const openid = document.querySelector('[data-testid="openid"]')?.textContent;
        return openid && !known.includes(openid);
      }, [...before]);
    });
    const openid = (await get("openid").textContent()).trim();
    assert.equal(openid.length, 28, `an openid has 28 characters: ${openid}`);
    await shot("1-mini");

    // Subscribe: accept the fee notice, not the repair order.
    await get("subscribe").click();
    await get("popup").waitFor();
    await get("sample").first().click();
    await shot("2-popup");
    await get("sample").first().click();
    await get(`popup-${REPAIR}`).uncheck();
    await get("allow").click();
    await textOf("result", /requestSubscribeMessage:ok/);
    assert.equal((await subscription(openid, FEE)).grants, 1, "accepting gives one grant");
    assert.equal((await subscription(openid, REPAIR)).grants, 0, "rejecting gives none");
    assert.equal((await subscription(openid, REPAIR)).status, "reject");
    await textOf(`grants-${FEE}`, /^1$/);

    // The tap rule.
    await get("tap-direct").click();
    await get("allow").click();
    await textOf("tap-result-direct", /requestSubscribeMessage:ok/);
    await get("tap-await").click();
    await get("allow").click();
    await textOf("tap-result-await", /requestSubscribeMessage:ok/);
    await get("tap-timeout").click();
    assert.equal(await textOf("tap-result-timeout", /fail/), TAP);
    assert.equal(await get("popup").count(), 0, "no popup without a tap");
    const scripted = await page.evaluate((id) => window.wx.requestSubscribeMessage({ tmplIds: [id] }).catch((fault) => fault), FEE);
    assert.equal(scripted.errMsg, TAP, "a script has no tap");
    await get("tap-timeout").scrollIntoViewIfNeeded();
    await shot("3-tap-rule");
    assert.equal((await subscription(openid, FEE)).grants, 3, "grants add up");

    // A message arrives while the phone shows another page: a banner, a number, then the card.
    const answer = await send(openid, FEE, "pages/fee/index?room=3-1201&month=11", FEE_DATA);
    assert.equal(answer.errcode, 0, JSON.stringify(answer));
    await get("banner").waitFor();
    assert.equal(await get("unread").textContent(), "1");
    await shot("4-banner");
    await get("go-notices").click();
    await get("card").waitFor();
    assert.equal(await get("card").count(), 1);
    await send(openid, REPAIR, "pages/repair/detail?id=7", REPAIR_DATA);
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="card"]').length === 2);
    assert.match(await get("card").nth(0).textContent(), /服务内容.*2026 年 11 月物业费.*备注/s);
    assert.match(await get("card").nth(1).textContent(), /公司名称.*报修原因.*厨房水管漏水/s);
    await shot("5-cards");

    // The card opens its page.
    await get("card-open").first().click();
    assert.equal(await get("page-path").textContent(), "pages/fee/index");
    await shot("6-page");
    await get("back").click();

    // 拒收 from the card.
    await get("card-menu").first().click();
    await get("action-sheet").waitFor();
    await shot("7-refuse");
    await get("action-refuse").click();
    await get("toast").waitFor();
    const refused = await subscription(openid, FEE);
    assert.deepEqual([refused.grants, refused.refused], [0, true], "refusing takes all grants");
    assert.equal((await send(openid, FEE, "", FEE_DATA)).errcode, 43101);

    // Settings show it, and give it back; the count stays 0.
    await get("go-settings").click();
    assert.equal(await get(`switch-${FEE}`).isChecked(), false);
    await shot("8-settings");
    await get(`switch-${FEE}`).click();
    await page.waitForFunction((id) => document.querySelector(`[data-testid="switch-${id}"]`)?.checked, FEE);
    const again = await subscription(openid, FEE);
    assert.deepEqual([again.grants, again.refused, again.always_keep], [0, false, "accept"]);

    // A kept choice answers without a popup, and counts.
    await get("go-mini").click();
    await get(`choose-${REPAIR}`).uncheck();
    await get("subscribe").click();
    await textOf("result", /requestSubscribeMessage:ok/);
    assert.equal(await get("popup").count(), 0, "no popup for a kept choice");
    assert.equal((await subscription(openid, FEE)).grants, 1);

    // The main switch.
    await get("go-settings").click();
    await get("main-switch").click();
    await page.waitForFunction(() => document.querySelector('[data-testid="main-switch"]')?.checked === false);
    await get("go-mini").click();
    await get("subscribe").click();
    assert.match(await textOf("result", /20004/), /main switch/);
    await get("go-settings").click();
    await get("main-switch").click();

    // One template: no tick to set; the keyboard closes the popup.
    await get("go-mini").click();
    await get(`choose-${REPAIR}`).check();
    await get(`choose-${FEE}`).uncheck();
    await get("subscribe").focus();
    await page.keyboard.press("Enter");
    await get("popup").waitFor();
    await shot("9-popup-one");
    await page.keyboard.press("Escape");
    await textOf("result", /"reject"/);
    await panel(() => shot("10-panel"));

    await service({ page, get, panel, shot, json, base, lang, textOf, appid: `wxservice${width}${lang}` });
    if (!narrow) await rules(page, get, `wxother${width}${lang}`);

    // Nothing sticks out sideways.
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `the page is ${wide} px too wide`);
    assert.deepEqual(faults, [], faults.join("\n"));
    console.log(`ok ${name}`);
  } catch (error) {
    await page.screenshot({ path: join(shots, `${name}-FAILED.png`) }).catch(() => {});
    throw new Error(`${name}: ${error.message}${faults.length ? `\n${faults.join("\n")}` : ""}`, { cause: error });
  } finally {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  }
}

await mkdir(shots, { recursive: true });
try {
  await play({ width: 390, height: 844, lang: "zh", dark: false });
  await play({ width: 1280, height: 900, lang: "zh", dark: true });
  await play({ width: 1280, height: 900, lang: "en", dark: false });
  await play({ width: 360, height: 640, lang: "en", dark: true });
} catch (error) {
  console.error(`FAILED ${error.message}`);
  process.exit(1);
}

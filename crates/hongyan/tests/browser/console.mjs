// Browser test of the console: walks as a new user would, in a real browser.
//   node console.mjs http://127.0.0.1:8700/ SETUP_CODE DIRECTORY [all]
// Pictures go to the directory: of a failure, or with "all" of every page.
// The browser is $CHROMIUM or Debian's. Exits with 1 and the reason when something is not as it should be.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { walk } from "./walk.mjs";

const [address, code, shots, all] = process.argv.slice(2);
if (!address || !code || !shots) {
  console.error("usage: node console.mjs CONSOLE_URL SETUP_CODE DIRECTORY [all]");
  process.exit(2);
}
const base = new URL("/", address).href;
const APPID = "wx5a3f0c2b7d9e4186";
const FEE = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ";
const PATIENCE = 20_000;
const profile = await mkdtemp(join(tmpdir(), "hongyan-console-"));
await mkdir(shots, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});

/** Somebody's own browser: what goes wrong in its console is a failure. */
async function person(options = {}) {
  const context = await browser.newContext({ locale: "zh-CN", viewport: { width: 1280, height: 900 }, acceptDownloads: true, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => {
    // A refused form is an answer, not an error of the page.
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) wrong.push(message.text());
  });
  page.on("dialog", (dialog) => dialog.accept());
  return { context, page, wrong };
}

let picture = 0;
async function shot(page, name) {
  if (!all) return;
  picture += 1;
  await page.screenshot({ path: join(shots, `${String(picture).padStart(2, "0")}-${name}.png`), fullPage: true });
}

const text = (page, selector) => page.locator(selector).first().innerText();
const number = async (page, selector) => Number((await text(page, selector)).replaceAll(",", ""));

async function signIn(page, name, password) {
  await page.goto(new URL("login", base).href);
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.click("button[type=submit]");
  await page.waitForURL((url) => !url.pathname.endsWith("/login"));
}

/** From nothing to the simulated WeChat. */
async function firstVisit(page) {
  await page.goto(base);
  assert.match(page.url(), /\/setup$/, "a fresh installation is claimed first");
  await shot(page, "setup");
  await page.fill("#code", "AAAA-AAAA-AAAA");
  await page.fill("#name", "管理员小王");
  await page.fill("#password", "correct horse battery");
  await page.fill("#again", "correct horse battery");
  await page.click("button[type=submit]");
  assert.match(await text(page, "[role=alert]"), /安装码不对/);
  await page.fill("#code", code.toLowerCase());
  await page.fill("#password", "correct horse battery");
  await page.fill("#again", "correct horse battery");
  await page.click("button[type=submit]");
  await page.waitForURL(/\/start$/);
  await shot(page, "start");
  await page.click("form[action='start/try'] button");
  await page.waitForURL(new RegExp(`/apps/${APPID}/$`));
  const ribbon = page.locator(".strip a");
  const phone = await ribbon.getAttribute("href");
  assert.ok(phone, "the phone is linked");
  return phone;
}

async function wechat(phone, path, body) {
  const response = await fetch(`${phone}/_sim/apps/${APPID}${path}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });
  const answer = await response.text();
  assert.ok(response.ok, `${path}: ${answer}`);
  return answer ? JSON.parse(answer) : null;
}

/** A second mini program by the guide: what comes from WeChat is told while the page waits. */
async function guide(page, phone) {
  const appid = "wx00000000000guide";
  const secret = "another-secret-of-32-characters!";
  const url = `${base}callback/${appid}`;
  const tell = async (callback) => {
    const response = await fetch(`${phone}/_sim/apps/${appid}`, {
      method: "PUT", headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "二号", secret, original_id: "gh_guide", callback }),
    });
    assert.ok(response.ok, await response.text());
  };
  const verify = () => fetch(`${phone}/_sim/apps/${appid}/verify`, { method: "POST" });
  await tell(null);
  await page.goto(new URL("start/connect", base).href);
  await page.fill("#f-name", "二号");
  await page.fill("#f-app_id", "not an AppID");
  await page.fill("#f-secret", "wrong");
  await page.click("button.btn-primary");
  await page.locator(".invalid-feedback").first().waitFor();
  await shot(page, "connect-wrong");
  await page.fill("#f-app_id", appid);
  await page.fill("#f-secret", "wrong");
  await page.locator("summary").last().click();
  await page.fill("#f-api_base_url", phone);
  await page.click("button.btn-primary");
  await page.waitForURL(/\/connect$/);
  const token = page.locator(".checks li", { hasText: "access_token" });
  assert.match(await token.innerText(), /有问题/, "a wrong AppSecret is told");
  await page.goto(new URL(`apps/${appid}/settings`, base).href);
  await page.locator("summary", { hasText: "AppSecret" }).click();
  await page.fill("#secret", secret);
  await page.getByRole("button", { name: "保存", exact: true }).click();
  await page.goto(new URL(`apps/${appid}/connect`, base).href);
  assert.match(await token.innerText(), /正常/, "and the right one too");
  await page.getByRole("button", { name: "生成 Token 和 EncodingAESKey" }).click();
  const values = { token: await text(page, "#token"), aes_key: await text(page, "#aes-key"), url, mode: "safe", format: "json" };
  await shot(page, "connect-values");
  await page.locator("#wait .alert-info").waitFor();
  await tell({ ...values, token: "anotherToken123" });
  await verify();
  await page.locator("#wait .alert-danger", { hasText: "Token" }).waitFor();
  await tell(values);
  const verified = await (await verify()).json();
  await page.locator("#wait .alert-success").waitFor();
  await shot(page, "connect-done");
  assert.ok(JSON.stringify(verified).length > 2);
  await page.goto(new URL(`apps/${appid}/connect`, base).href);
  assert.equal(await page.locator("#aes-key").count(), 0, "keys are shown once");
}

/** Waits until the page, loaded again and again, satisfies. */
async function until(page, what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    if (await look()) return;
    assert.ok(Date.now() < end, `not seen: ${what} at ${page.url()}`);
    await page.waitForTimeout(150);
    await page.reload();
  }
}

const app = (rest) => new URL(`apps/${APPID}/${rest}`, base).href;

/** Subscribes on the simulated phone, as a person does; gives who that is. */
async function subscribe(context, phone) {
  const view = await context.newPage();
  await view.goto(`${phone}/`);
  const get = (id) => view.getByTestId(id);
  await get("first-user").click();
  const openid = (await get("openid").textContent()).trim();
  await get("subscribe").click();
  await get("allow").click();
  return { view, openid };
}

async function firstMessage(page, phone) {
  const { view, openid } = await subscribe(page.context(), phone);
  await page.goto(app("subscribers"));
  await until(page, "the subscription", async () => (await page.locator("td.code a").count()) > 0);
  await shot(page, "subscribers");
  await page.goto(app(`compose?template_id=${FEE}`));
  await page.check("#compose input[name=to][value=one]");
  await page.fill("#openid", openid);
  await page.fill("#f-thing8", "一二三四五六七八九十一二三四五六七八九十一");
  await page.fill("#f-thing5", "请及时缴纳");
  await page.locator("aside .alert-warning").waitFor();
  assert.match(await text(page, "aside .phone-card"), /请及时缴纳/, "the card is what is written");
  assert.equal(await text(page, "[data-count=f-thing8]"), "21");
  await shot(page, "compose-too-long");
  await page.click("#compose button[type=submit]");
  assert.match(await text(page, ".invalid-feedback"), /20/, "the limit is named at the field");
  assert.equal(await page.inputValue("#openid"), openid, "nothing that was written is lost");
  await page.fill("#f-thing8", "2026 年 11 月物业费");
  await page.fill("#page-path", "pages/bill/index?id=1");
  await page.click("#compose button[type=submit]");
  await page.waitForURL(/\/messages\/[0-9a-f-]+\?done=sent/);
  await until(page, "the message delivered", async () => /已送达/.test(await text(page, "#message-state")));
  await shot(page, "message");
  await view.getByTestId("go-notices").click();
  await view.getByTestId("card").filter({ hasText: "2026 年 11 月物业费" }).first().waitFor();
  await shot(view, "phone");
  await view.close();
}

/** A sheet with errors, mended, sent; its lists are downloaded and added up. */
async function sheet(page, people) {
  const rows = people.map((openid, at) => `${openid},房屋 ${at + 1},请及时缴纳`);
  rows[1] = `${people[1]},${"太长".repeat(11)},请及时缴纳`;
  rows.push("not-an-openid,房屋 9,请及时缴纳");
  const file = join(profile, "通知.csv");
  await writeFile(file, `openid,服务内容,备注\n${rows.join("\n")}\n`);
  await page.goto(app("uploads"));
  await page.selectOption("#template", FEE);
  await page.setInputFiles("#file", file);
  await page.click("form[enctype] button[type=submit]");
  await page.waitForURL(/\/uploads\/[0-9a-f-]+$/);
  assert.equal(await number(page, "#rows"), rows.length);
  assert.ok((await number(page, "#wrong")) >= 1, "the wrong cell is counted");
  assert.match(await text(page, "#wrong-rows tbody"), /3\s+oTest/, "the row as in the sheet, whole");
  assert.match(await text(page, "#wrong-rows td.wrong"), /^(太长)+\s.*20/, "the wrong cell is marked, with the reason");
  assert.equal(await page.locator("#use").count(), 0, "nothing goes out from a file with errors");
  await shot(page, "upload-errors");
  await page.check("input[name='choice.errors'][value=leave_out]");
  await page.getByRole("button", { name: "按这样再检查" }).click();
  await page.locator("#use").waitFor();
  await shot(page, "upload-ready");
  await page.click("#use");
  await page.fill("#name", "十一月物业费");
  await page.locator("aside dl.row").waitFor();
  assert.match(await text(page, "aside .phone-card"), /房屋 1/, "the card of the first row");
  await shot(page, "compose-upload");
  await page.click("#compose button[type=submit]");
  await page.waitForURL(/\/campaigns\/[0-9a-f-]+$/);
  const start = page.locator("#start");
  await start.waitFor();
  assert.match(await start.innerText(), new RegExp(`发送给 ${people.length - 1} 人`));
  await shot(page, "campaign-draft");
  await start.click();
  await page.locator("#live[data-state=finished]").waitFor();
  await shot(page, "campaign-finished");
  const counted = { sent: await number(page, "#sent"), not_sent: await number(page, "#not-sent"), unknown: await number(page, "#unknown") };
  let sum = 0;
  for (const list of ["sent", "not_sent", "unknown"]) {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.locator(`a[href$='results/${list}']`).click(),
    ]);
    const table = (await readFile(await download.path(), "utf8")).trim().split("\r\n");
    assert.equal(table.length - 1, counted[list], `${list}: the list is as long as the page says`);
    sum += table.length - 1;
  }
  assert.equal(sum, rows.length, "the three lists add up to the rows of the sheet");
  assert.equal(await number(page, "#recipients"), rows.length);
  assert.equal(counted.sent, people.length - 1);
}

async function pauseAndResume(page, people, phone) {
  for (const openid of people) await wechat(phone, `/users/${openid}/popup`, { decisions: { [FEE]: "accept" } });
  await page.goto(app(`compose?to=subscribers&template_id=${FEE}`));
  await page.fill("#f-thing8", "停水通知");
  await page.fill("#f-thing5", "明天上午");
  await page.fill("#name", "慢慢发");
  await page.fill("#rate", "1");
  await page.click("#compose button[type=submit]");
  await page.waitForURL(/\/campaigns\/[0-9a-f-]+$/);
  const start = page.locator("#start");
  await start.waitFor();
  await until(page, "everybody's grant", async () => {
    await start.waitFor();
    return new RegExp(`发送给 ${people.length} 人`).test(await start.innerText());
  });
  await start.click();
  await page.locator("#live[data-state=running]").waitFor();
  await page.getByRole("button", { name: "暂停", exact: true }).click();
  await page.locator("#live[data-state=paused]").waitFor();
  await shot(page, "campaign-paused");
  // After two seconds no call starts any more.
  await page.waitForTimeout(2_000);
  await page.reload();
  const before = await number(page, "#sent");
  assert.ok(before < people.length, "it was paused in the middle");
  await page.waitForTimeout(1_500);
  await page.reload();
  assert.equal(await number(page, "#sent"), before, "nothing goes out while it is paused");
  await page.getByRole("button", { name: "继续", exact: true }).click();
  await page.locator("#live[data-state=finished]").waitFor();
  assert.equal(await number(page, "#sent"), people.length);
}

async function addOperator(page, name, role) {
  await page.goto(new URL("operators", base).href);
  const form = page.locator("form[action=operators]");
  await form.locator("#name").fill(name);
  await form.locator("#password").fill("another good one");
  await form.locator("#role").selectOption(role);
  await form.locator("button[type=submit]").click();
  await page.getByRole("cell", { name, exact: true }).first().waitFor();
}

/** Somebody who may edit and not send. */
async function editor(admin) {
  await addOperator(admin, "编辑小李", "editor");
  const { context, page, wrong } = await person();
  await signIn(page, "编辑小李", "another good one");
  await page.goto(app(`compose?template_id=${FEE}`));
  assert.equal(await page.locator("#compose input[name=to][value=one]").count(), 0, "no single message");
  await page.check("#compose input[name=to][value=subscribers]");
  await page.fill("#f-thing8", "通知");
  await page.fill("#f-thing5", "内容");
  await page.fill("#name", "编辑的草稿");
  await page.click("#compose button[type=submit]");
  await page.waitForURL(/\/campaigns\/[0-9a-f-]+$/);
  await page.getByText("你可以编辑，不能发送").waitFor();
  assert.equal(await page.locator("#start").count(), 0);
  // The button is not there; whoever sends the form all the same is refused.
  const csrf = await page.inputValue("input[name=csrf] >> nth=0");
  const refused = await page.request.post(`${page.url()}/start`, { form: { csrf } });
  assert.equal(refused.status(), 403);
  const forged = await page.request.post(`${page.url()}/copy`, { form: { csrf: "0" } });
  assert.equal(forged.status(), 403, "a form without its proof does nothing");
  await shot(page, "editor");
  await walk(page, base, "editor", wrong);
  assert.deepEqual(wrong, []);
  await context.close();
}

async function sender(admin) {
  await addOperator(admin, "发送小赵", "sender");
  const { context, page, wrong } = await person();
  await signIn(page, "发送小赵", "another good one");
  await walk(page, base, "sender", wrong);
  assert.deepEqual(wrong, []);
  await context.close();
}

async function viewer(admin) {
  await addOperator(admin, "只读小张", "viewer");
  const { context, page, wrong } = await person();
  await signIn(page, "只读小张", "another good one");
  await page.goto(app("messages"));
  const body = await text(page, "main");
  assert.match(body, /\*\*\*\*/, "openids are masked");
  await walk(page, base, "viewer", wrong, (html, url) => {
    assert.doesNotMatch(html, /\boTest[0-9A-Za-z_-]{23,24}\b/, `an openid stands on ${url}`);
  });
  assert.deepEqual(wrong, []);
  await context.close();
}

async function english(page) {
  await page.goto(app(""));
  await page.getByRole("link", { name: "English" }).click();
  await page.locator("h1", { hasText: "Overview" }).waitFor();
  await shot(page, "overview-english");
  await page.getByRole("link", { name: "中文" }).click();
  await page.locator("h1", { hasText: "概览" }).waitFor();
}

async function withoutScripts() {
  const { context, page } = await person({ javaScriptEnabled: false });
  await page.goto(new URL("login", base).href);
  await page.fill("#name", "管理员小王");
  await page.fill("#password", "correct horse battery");
  await page.press("#password", "Enter");
  await page.waitForURL((url) => !url.pathname.endsWith("/login"));
  await page.goto(app(`compose?template_id=${FEE}`));
  await page.locator("#compose input[name=to][value=subscribers]").check({ force: true });
  await page.fill("#f-thing8", "无脚本");
  await page.fill("#f-thing5", "也能用");
  await page.fill("#name", "无脚本的草稿");
  // Without scripts a click cannot wait until nothing moves.
  await page.press("#name", "Enter");
  await page.waitForURL(/\/campaigns\/[0-9a-f-]+$/);
  await context.close();
}

async function narrow(page) {
  for (const width of [360, 768, 3840]) {
    await page.setViewportSize({ width, height: 900 });
    for (const path of ["", "compose", "campaigns", "messages", "subscribers", "templates", "analytics", "connect", "settings"]) {
      await page.goto(app(path));
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(over <= 1, `${path} is ${over} px too wide at ${width} px`);
      if (width === 360) await shot(page, `narrow-${path || "overview"}`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

const { page, wrong } = await person();
let failed = null;
try {
  const phone = await firstVisit(page);
  await shot(page, "overview-empty");
  await firstMessage(page, phone);
  const people = [];
  for (let at = 0; at < 5; at += 1) {
    const openid = `oTest${String(at).padStart(23, "0")}`;
    await wechat(phone, "/users", { openid, nickname: `住户 ${at}` });
    await wechat(phone, `/users/${openid}/popup`, { decisions: { [FEE]: "accept" } });
    people.push(openid);
  }
  await sheet(page, people);
  await pauseAndResume(page, people, phone);
  await guide(page, phone);
  await english(page);
  await withoutScripts();
  await editor(page);
  await sender(page);
  await viewer(page);
  await walk(page, base, "admin", wrong, null, shot);
  await narrow(page);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(app(""));
  await shot(page, "overview-dark");
  assert.deepEqual(wrong, [], "nothing went wrong in the page");
} catch (error) {
  failed = error;
  await page.screenshot({ path: join(shots, "failed.png"), fullPage: true }).catch(() => {});
  console.error(`at ${page.url()}`);
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
if (failed) {
  console.error(failed);
  process.exit(1);
}
console.log("the console was walked");

// The uni-app example in the simulated phone: login, a tap, two of three accepted, a notice by the API, its card, the page that
// it opens; then the grant is spent and the page asks again. And pages of other origins in the same phone.
//   node example.mjs PHONE_URL SERVICE_URL KEY DIRECTORY [all]
// Both are those that `hongyan demo --mini-program examples/uni-app/dist/build/h5` prints.
// Pictures go to the directory: of a failure, or with "all" of every page. The browser is $CHROMIUM or Debian's.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [phone, service, key, shots, all] = process.argv.slice(2);
if (!phone || !service || !key || !shots) {
  console.error("usage: node example.mjs PHONE_URL SERVICE_URL KEY DIRECTORY [all]");
  process.exit(2);
}
const APPID = "wx5a3f0c2b7d9e4186";
const FEE = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ";
const REPAIR = "3gMbhH_bFuZlXiaJffCqXlNoqKvJwz_zUSmr-z1jEyo";
const PATIENCE = 20_000;

const profile = await mkdtemp(join(tmpdir(), "hongyan-example-"));
await mkdir(shots, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const context = await browser.newContext({ locale: "zh-CN", viewport: { width: 1280, height: 940 } });
context.setDefaultTimeout(PATIENCE);
const page = await context.newPage();
const wrong = [];
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));

const get = (name) => page.getByTestId(name);
const own = page.frameLocator('[data-testid="own"]');
const inside = (name) => own.locator(`[data-testid="${name}"]`);

let picture = 0;
async function shot(name) {
  if (!all) return;
  picture += 1;
  await page.screenshot({ animations: "disabled", path: join(shots, `${String(picture).padStart(2, "0")}-${name}.png`) });
}

async function call(method, url, body, headers = {}) {
  const options = { method, headers: { "content-type": "application/json", ...headers } };
  if (body !== undefined) options.body = JSON.stringify(body);
  const response = await fetch(url, options);
  const text = await response.text();
  assert.ok(response.ok, `${method} ${url}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

const api = (method, path, body, headers) =>
  call(method, `${service}/api/v1/apps/${APPID}/${path}`, body, { authorization: `Bearer ${key}`, ...headers });

/** Looks until it is so. */
async function until(what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    assert.ok(Date.now() < end, `not seen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What /ask names for a user. */
async function asked(openid) {
  const { session } = await api("POST", "mp-sessions", { openid });
  return call("GET", `${service}/mp/${APPID}/ask`, undefined, { authorization: `Bearer ${session}` });
}

async function newUser(nickname) {
  const before = await get("openid").innerText().catch(() => "");
  await get("nickname").fill(nickname);
  await get("create-user").click();
  await page.waitForFunction((old) => {
    const now = document.querySelector('[data-testid="openid"]')?.textContent;
    return now && now !== old;
  }, before);
  return get("openid").innerText();
}

async function example() {
  // A third notice, from the public library.
  await api("POST", "templates", { tid: "2003", keywords: [1, 3], scene: "停水停电通知" });
  await page.goto(phone);
  const openid = await newUser("李四");
  await page.getByText("已连接模拟微信").waitFor();
  await inside("wanted").nth(2).waitFor();
  assert.equal(await inside("wanted").count(), 3, "three to ask for: the login worked");
  await shot("example");

  // uni-app leaves what its H5 build has not to the global: the simulated WeChat answers, by its rules.
  const frame = page.frame({ url: /mini-program/ });
  const raw = await frame.evaluate((id) => window.uni.requestSubscribeMessage({ tmplIds: [id] }).catch(({ errMsg }) => errMsg), FEE);
  assert.match(raw, /TAP gesture/, "without a tap it is refused");

  await inside("subscribe").click();
  await get("popup").waitFor();
  await shot("example-popup");
  await get(`popup-${REPAIR}`).uncheck();
  await get("allow").click();
  assert.match(await inside("outcome").innerText(), /已允许 2 项，未允许 1 项/);
  await until("the event, in the ledger", async () => (await asked(openid)).template_ids.length === 0);
  const { templates, report } = await asked(openid);
  const reason = (id) => templates.find((one) => one.template_id === id).reason;
  assert.deepEqual([reason(FEE), reason(REPAIR), report], ["enough", "cool_down", false]);

  const sent = await api("POST", "messages", {
    to: openid, template_id: FEE, page: "pages/notice/notice?kind=fee&room=3-1201",
    data: { thing8: "2026 年 11 月物业费", thing5: "请于月底前缴纳" },
  }, { prefer: "wait=10" });
  assert.ok(["accepted", "delivered"].includes(sent.state), JSON.stringify(sent));
  await get("banner").click();
  await get("card-open").last().waitFor();
  await shot("example-card");
  await get("card-open").last().click();
  await inside("notice-room").waitFor();
  assert.equal(await inside("notice-room").innerText(), "3-1201", "the page has its query");
  assert.equal(await inside("notice-kind").innerText(), "物业费缴纳");
  await shot("example-notice");

  // The grant is spent: the page asks for it again.
  await inside("home").click();
  await inside("wanted").first().waitFor();
  assert.match(await inside("wanted").first().innerText(), /用户收费通知/);
  assert.deepEqual((await asked(openid)).template_ids, [FEE]);
  assert.deepEqual(wrong, []);

  // The main switch off: the page says what to do, and leads to the settings.
  await get("go-settings").click();
  await get("main-switch").uncheck();
  await get("go-mini").click();
  await inside("subscribe").click();
  await inside("guide").waitFor();
  await inside("guide").click();
  await get("modal-confirm").click();
  await get("main-switch").waitFor();
  await get("main-switch").check();
  await get("go-mini").click();
  await inside("subscribe").click();
  await get("allow").click();
  assert.match(await inside("outcome").innerText(), /已允许 1 项/);
}

/** Anyone's own page, from another origin; one of them has forgotten the bridge. */
async function others() {
  const body = `<button id="tap">subscribe</button><output id="out"></output><script>
    const out = document.getElementById("out");
    const show = (result) => { out.textContent = JSON.stringify(result); };
    document.getElementById("tap").onclick = () => window.wx ? wx.requestSubscribeMessage({ tmplIds: ["${FEE}"], complete: show }) : show("no wx");
  </script>`;
  const bridge = `<script type="module" src="${new URL("bridge.js", phone)}"></script>`;
  const server = createServer((request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(`<!doctype html><html><head>${/^\/with(\?|$)/.test(request.url) ? bridge : ""}</head><body>${body}</body></html>`);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  try {
    await get("own-url").fill(`${origin}/with`);
    await get("own-open").click();
    await page.getByText("已连接模拟微信").waitFor();
    await own.locator("#tap").click();
    await get("allow").click();
    await until("the answer", async () => (await own.locator("#out").innerText()).includes('"accept"'));
    await get("own-url").fill(`${origin}/without`);
    await get("own-open").click();
    await page.getByText("页面没有连接模拟微信").waitFor();
    assert.match(await page.locator("pre.openid").innerText(), /bridge\.js/, "what to put into the page");
    await shot("example-silent");
    await get("own-url").fill("ftp://nowhere");
    await get("own-open").click();
    assert.match(await get("toast").innerText(), /no http address/);
    await get("own-clear").click();
    await get("subscribe").waitFor();
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

let failed = false;
try {
  await example();
  await others();
  console.log("the example was played");
} catch (error) {
  failed = true;
  console.error(`\n${error.stack ?? error}\n${wrong.join("\n")}`);
  await page.screenshot({ path: join(shots, "failed.png") }).catch(() => {});
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

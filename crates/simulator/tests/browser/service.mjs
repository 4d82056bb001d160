// The part of the browser test that needs an app's server: chats and what becomes of them, authorisation,
// other events, login; and the faults of the panel.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";

const WORDS = {
  zh: { swallowed: /只回答了 success/, transferred: /已转给客服/, failed: /该小程序客服暂时无法提供服务.*应答不是/s, once: /只有下一次|接下来 1 次/ },
  en: { swallowed: /only answered success/, transferred: /Passed on to customer service/, failed: /unavailable.*not transfer_customer_service/s, once: /the next 1/ },
};

/** An app's server in plain mode: keeps what it is pushed, answers as told. */
async function appServer() {
  const pushes = [];
  let answer = () => "success";
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const push = JSON.parse(body);
    pushes.push(push);
    response.end(answer(push));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const seen = async (event) => {
    for (let turn = 0; turn < 1000; turn += 1) {
      const push = pushes.find((one) => one.Event === event);
      if (push) return push;
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    throw new Error(`never pushed: ${event}`);
  };
  const says = (words) => { answer = words; };
  return { url: `http://127.0.0.1:${server.address().port}/`, seen, says, close: () => server.close() };
}

const reply = (kind) => (push) => JSON.stringify({
  ToUserName: push.FromUserName, FromUserName: push.ToUserName, CreateTime: push.CreateTime, MsgType: kind });

export async function service({ page, get, panel, shot, json, base, lang, textOf, appid }) {
  const words = WORDS[lang];
  const scrollTo = (id) => page.evaluate((id) => document.querySelector(`[data-testid="${id}"]`).scrollIntoView(), id);
  const server = await appServer();
  const template = { id: "T", title: "工单维护通知", type: "one_time", content: "事项:{{thing1.DATA}}\n", example: "事项:示例\n" };
  await json(`_sim/apps/${appid}`, { name: "邻里服务", secret: "s", original_id: "gh_service", templates: [template],
    callback: { url: server.url, token: "token", mode: "plain", format: "json" } }, "PUT");
  const { openid } = await json(`_sim/apps/${appid}/users`, { nickname: "李四" });
  await json(`_sim/apps/${appid}/users`, { nickname: "王五" });
  await page.locator(`[data-testid="app"] option[value="${appid}"]`).waitFor({ state: "attached" });
  await panel(async () => {
    await get("app").selectOption(appid);
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="user"] option').length === 2);
    await get("user").selectOption(openid);
    await textOf("openid", new RegExp(openid));
  });
  await get("subscribe").waitFor();

  // The chat, and whether customer service gets it.
  const say = async (text, outcome) => {
    await get("chat").fill(text);
    await get("chat-send").click();
    await page.waitForFunction(([text, source]) => {
      const first = document.querySelector('[data-testid="chats"] li');
      return first?.querySelector(".bubble").textContent === text && new RegExp(source, "s").test(first.textContent);
    }, [text, outcome.source]);
  };
  await say("电梯坏了", words.swallowed);
  server.says(reply("transfer_customer_service"));
  await say("有人在吗", words.transferred);
  server.says(reply("text"));
  await say("请回复", words.failed);
  server.says(() => "success");
  await scrollTo("login");

  // wx.login gives a code that the server can use.
  await get("login").click();
  const code = await textOf("login-code", /^0/);
  await shot("11-service");
  const session = await json(`sns/jscode2session?appid=${appid}&secret=s&js_code=${code}&grant_type=authorization_code`);
  assert.equal(session.openid, openid);

  // Faults: nothing is wrong, a rule is added for this user, it strikes, it is cleared.
  const { access_token: token } = await json("cgi-bin/stable_token", { grant_type: "client_credential", appid, secret: "s" });
  const send = async () => {
    const body = JSON.stringify({ touser: openid, template_id: "T", data: { thing1: { value: "报修已受理" } } });
    const response = await fetch(new URL(`cgi-bin/message/subscribe/send?access_token=${token}`, base), { method: "POST", body });
    return response.headers.get("content-type").includes("json") ? (await response.json()).errcode : response.status;
  };
  await panel(async () => {
    await get("fault-none").waitFor();
    await get("fault-what").selectOption("send html");
    await get("fault-often").selectOption("once");
    await get("fault-mine").check();
    await get("fault-add").click();
    await textOf("fault-rules", words.once);
    await get("fault-what").selectOption("push twice");
    assert.equal(await get("fault-mine").isChecked(), true, "the draft is kept");
    await get("fault-often").selectOption("always");
    await get("fault-mine").uncheck();
    await get("fault-add").click();
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="fault-rules"] li').length === 2);
    const { rules } = await json(`_sim/apps/${appid}/faults`);
    assert.deepEqual(rules, [{ on: "send", fault: "html", openid, next: 1, status: 502 }, { on: "push", fault: "duplicate", times: 2 }]);
    assert.equal(await send(), 502);
    assert.equal(await send(), 43101);
    await textOf("fault-rules", lang === "en" ? /struck 1 of 2/ : /触发 1 \/ 2 次/);
    await textOf("fault-unsure", lang === "en" ? /know: 1, of which took effect: 0/ : /1 次，其中已生效 0 次/);
    await get("fault-log").waitFor();
    await scrollTo("faults");
    await shot("12-faults");
    await get("fault-remove-0").click();
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="fault-rules"] li').length === 1);
    await get("fault-clear").click();
    await get("fault-none").waitFor();

    // An event that no server knows.
    await get("event-name").fill("wxa_from_tomorrow");
    await get("event-fields").fill('{"Level": 3}');
    await get("event-push").click();
    assert.equal((await server.seen("wxa_from_tomorrow")).Level, 3);
    await get("event-fields").fill("{");
    await get("event-push").click();
    await textOf("toast", /JSON/);
    await get("event-fields").fill("");
  });

  // What the settings take back; then the account is closed, and somebody else has the phone.
  await get("go-settings").click();
  await scrollTo("revoke");
  await shot("13-account");
  await get("revoke").click();
  await get("action-phone").click();
  assert.deepEqual([(await server.seen("user_authorization_revoke")).RevokeInfo, (await server.seen("user_authorization_revoke")).OpenID], ["8", openid]);
  await get("close-account").click();
  await get("modal-confirm").click();
  assert.equal((await server.seen("user_authorization_cancellation")).OpenID, openid);
  await page.waitForFunction((gone) => {
    const now = document.querySelector('[data-testid="openid"]')?.textContent;
    return now && now !== gone;
  }, openid);
  await get("subscribe").waitFor();
  server.close();
}

// node-easywechat as a peer: pushes as WeChat does, reads encrypted replies, and calls a simulated WeChat.
//
// Started by tests/it/peers.rs with one word (verify, push, send) and a JSON object on standard input; answers with one
// on standard output. What is signed, encrypted, decrypted and sent is node-easywechat's own doing.

import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
// Not the package's front door: that loads the logins of other sites too, whose package has moved on since.
const MiniApp = require("node-easywechat/dist/MiniApp/Application");
const { buildXml, parseXml } = require("node-easywechat/dist/Core/Support/Utils");

/** Keeps the token in memory: the SDK's own cache is a file that outlives the test. */
class Memory {
  kept = new Map();
  async get(key) {
    return this.kept.get(key) ?? null;
  }
  async set(key, value) {
    this.kept.set(key, value);
    return true;
  }
  async has(key) {
    return this.kept.has(key);
  }
  async delete(key) {
    return this.kept.delete(key);
  }
}

function app(ask) {
  const made = new MiniApp({
    app_id: ask.app_id,
    secret: ask.secret ?? "",
    token: ask.token ?? "",
    aes_key: ask.aes_key ?? "",
    use_stable_access_token: true,
    http: { baseURL: `${ask.base ?? ask.url}/`, proxy: false, timeout: 10000 },
  });
  made.setCache(new Memory());
  return made;
}

async function verify(ask) {
  const { timestamp, nonce, echostr } = ask;
  const signature = app(ask).getEncryptor().createSignature(ask.token, timestamp, nonce);
  const answer = await fetch(`${ask.url}?${new URLSearchParams({ signature, timestamp, nonce, echostr })}`);
  return { status: answer.status, text: await answer.text() };
}

async function push(ask) {
  const { timestamp, nonce, event } = ask;
  const xml = ask.format === "xml";
  const encryptor = app(ask).getEncryptor();
  const query = { signature: encryptor.createSignature(ask.token, timestamp, nonce), timestamp, nonce };
  const written = (value) => (xml ? buildXml(value) : JSON.stringify(value));
  let body = written(event);
  if (ask.mode !== "plain") {
    const sealed = await parseXml(encryptor.encrypt(body, nonce, timestamp));
    Object.assign(query, { openid: event.FromUserName, encrypt_type: "aes", msg_signature: sealed.MsgSignature });
    const outer = ask.mode === "compat" ? event : { ToUserName: event.ToUserName };
    body = written({ ...outer, Encrypt: sealed.Encrypt });
  }
  const answer = await fetch(`${ask.url}?${new URLSearchParams(query)}`, {
    method: "POST",
    headers: { "content-type": xml ? "text/xml" : "application/json" },
    body,
  });
  const text = await answer.text();
  return {
    status: answer.status,
    text,
    content_type: answer.headers.get("content-type"),
    opened: await opened(encryptor, text),
  };
}

/** What stands in an encrypted reply, as a flat object; null if it is not encrypted. */
async function opened(encryptor, text) {
  const read = (content) => (content.startsWith("<") ? parseXml(content) : JSON.parse(content));
  if (!/^[<{]/.test(text)) return null;
  const reply = await read(text);
  if (!reply.Encrypt) return null;
  return read(encryptor.decrypt(reply.Encrypt, reply.MsgSignature, reply.Nonce, String(reply.TimeStamp)));
}

async function send(ask) {
  const calls = [];
  const made = app(ask);
  made.getHttpClient().setLogger(async (when, options) => {
    if (when === "before") calls.push(`${options.method.toUpperCase()} /${options.url}`);
  });
  const data = Object.fromEntries(Object.entries(ask.data).map(([key, value]) => [key, { value }]));
  const { to: touser, template_id, page } = ask;
  const json = { touser, template_id, page, data, miniprogram_state: "formal", lang: "zh_CN" };
  const response = await made.getClient().post("cgi-bin/message/subscribe/send", { json });
  return { answer: response.toObject(false), calls };
}

let input = "";
for await (const part of process.stdin) input += part;
const does = { verify, push, send }[process.argv[2]];
process.stdout.write(JSON.stringify(await does(JSON.parse(input))));

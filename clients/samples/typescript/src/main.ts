// HONGYAN_URL=http://127.0.0.1:8700 HONGYAN_KEY=hy_… node dist/main.js APPID OPENID TEMPLATE_ID thing8=物业费 thing5=请及时缴纳
// HONGYAN_WEBHOOK_SECRET=whsec_… node dist/main.js receive 8080

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Hongyan, Problem, verified } from "./hongyan.js";

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

function receive(port: number): void {
  const secret = setting("HONGYAN_WEBHOOK_SECRET");
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    let size = 0;
    request.on("data", (part: Buffer) => {
      size += part.length;
      if (size > 1 << 20) request.destroy();
      else parts.push(part);
    });
    request.on("end", () => {
      const body = Buffer.concat(parts);
      const header = (name: string) => String(request.headers[name] ?? "");
      const headers = { id: header("webhook-id"), timestamp: header("webhook-timestamp"), signature: header("webhook-signature") };
      if (!verified(secret, headers, body)) return response.writeHead(401).end();
      const event = JSON.parse(body.toString()) as { type: string; data: { message_id?: string } };
      // Deliveries may repeat: remember `webhook-id` and skip what you have seen. 用 webhook-id 去重。
      console.log("webhook  ", event.type, event.data.message_id ?? "-");
      return response.writeHead(204).end();
    });
  });
  server.listen(port, "127.0.0.1", () => console.log("listening", (server.address() as AddressInfo).port));
}

async function main(args: string[]): Promise<void> {
  const [appId, openid, templateId, ...fields] = args;
  if (appId === "receive") return receive(Number(openid));
  if (!appId || !openid || !templateId) throw new Error("APPID OPENID TEMPLATE_ID KEY=VALUE…, or receive PORT");
  const data = Object.fromEntries(fields.map((field) => [field.slice(0, field.indexOf("=")), field.slice(field.indexOf("=") + 1)]));
  const hongyan = new Hongyan(setting("HONGYAN_URL"), setting("HONGYAN_KEY"), appId);

  for (const one of await hongyan.subscriptions(openid)) console.log("grants   ", one.template_id, one.status, one.available);
  const session = await hongyan.session(openid);
  console.log("session  ", session.expires_in);
  console.log("ask      ", (await hongyan.ask(session.session)).templates.length);

  const request = { to: openid, template_id: templateId, data };
  const key = `bill-${randomUUID()}`; // yours: the number of the bill, of the order
  const { message } = await hongyan.send(request, key);
  console.log("message  ", message.id);
  const same = await hongyan.send(request, key);
  console.log("again    ", same.message.id, same.replayed ? "replayed" : "new");
  const settled = await hongyan.settled(message.id);
  console.log("state    ", settled.state, settled.errcode);
  console.log("          ", settled.explanation);

  try {
    await hongyan.send({ ...request, data: { ...data, no_such_field: "x" } }, `bill-${randomUUID()}`);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    console.log("problem  ", problem.status, problem.code);
    for (const error of problem.errors) console.log("          ", error.pointer, error.code, error.detail);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error("failed   ", error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

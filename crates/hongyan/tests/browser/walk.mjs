// Walks every link of the console as somebody: no 404, no 5xx, nothing offered that is refused; axe-core on every kind of page.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A page's kind: its path without ids. */
const kind = (url) => new URL(url).pathname.replace(/\/apps\/wx[^/]+/, "/apps/APP")
  .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "ID").replace(/oTest[^/]*/g, "OPENID").replace(/\/library\/\d+/, "/library/TID");

export async function walk(page, base, role, wrong, check, shot) {
  const seen = new Set();
  const kinds = new Map();
  const queue = [base];
  const from = new Map();
  const barriers = [];
  while (queue.length > 0) {
    const url = queue.shift();
    const at = kind(url);
    const times = kinds.get(at) || 0;
    // Three of a kind tell as much as a thousand.
    if (seen.has(url) || times >= 3 || seen.size > 200) continue;
    seen.add(url);
    kinds.set(at, times + 1);
    const answer = await page.goto(url, { waitUntil: "domcontentloaded" }).catch((error) => {
      if (/Download is starting|ERR_ABORTED/.test(String(error))) return null;
      throw error;
    });
    // Something to keep, not to see.
    if (!answer) continue;
    assert.ok(answer.status() < 400, `${role}: ${url} answers ${answer.status()}, linked on ${from.get(url)}`);
    const took = answer.request().timing();
    assert.ok(took.responseStart - took.requestStart < 5_000, `${role}: ${url} took ${took.responseStart} ms`);
    // A file of code is shown as it is.
    if (!/html/.test(answer.headers()["content-type"] ?? "")) continue;
    const html = await page.content();
    if (check) check(html, url);
    if (times === 0) {
      if (shot) await shot(page, `page${at.replaceAll("/", "-")}`);
      await page.evaluate(axe).catch(async () => page.addScriptTag({ content: axe }));
      const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      const serious = found.violations.filter((one) => ["serious", "critical"].includes(one.impact));
      const told = serious.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
      if (told.length > 0) barriers.push(`${at}: ${told.join("; ")}`);
    }
    const links = await page.locator("a[href]").evaluateAll((all) => all.map((one) => one.href));
    for (const link of links) {
      const there = new URL(link);
      there.hash = "";
      const language = there.pathname.endsWith("/language");
      if (there.origin === new URL(base).origin && !language && there.href.startsWith(base)) {
        queue.push(there.href);
        if (!from.has(there.href)) from.set(there.href, url);
      }
    }
  }
  assert.deepEqual(barriers, [], `${role}: what axe found`);
  assert.ok(seen.size > 5, `${role}: only ${seen.size} pages`);
  return wrong;
}

// Takes the READMEs' picture: the phone after the demo.
//   node picture.mjs http://127.0.0.1:8701/ ../../../../docs/images/phone.png
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, file] = process.argv.slice(2);
if (!address || !file) {
  console.error("usage: node picture.mjs PHONE_URL FILE");
  process.exit(2);
}
const profile = await mkdtemp(join(tmpdir(), "phone-picture-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  locale: "zh-CN",
  colorScheme: "light",
  viewport: { width: 1280, height: 860 },
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
try {
  const page = await context.newPage();
  await page.goto(new URL("/?lang=zh", address).href);
  await page.locator('[data-testid="go-notices"]').click();
  await page.locator('[data-testid="card"]').nth(1).waitFor();
  await page.screenshot({ path: file });
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}

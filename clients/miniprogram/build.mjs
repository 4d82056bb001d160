// Builds the forms in which the kit is given away; all are committed, so that nobody needs npm to use it.
//   dist/hongyan.mjs  ESM        dist/hongyan.cjs  CommonJS
//   dist/hongyan.js   one plain file for a native mini program (require) or a script tag (global `hongyan`)
//   uni_modules/      a plug-in folder for uni-app projects made with HBuilderX

import { build } from "esbuild";
import { copyFile, cp, mkdir, readFile, writeFile } from "node:fs/promises";

const { version } = JSON.parse(await readFile("package.json", "utf8"));
const banner = { js: `/* hongyan-subscribe ${version} | MIT OR Apache-2.0 */` };
const common = { entryPoints: ["src/index.ts"], bundle: true, target: "es2015", charset: "utf8", banner, logLevel: "warning" };

await build({ ...common, format: "esm", outfile: "dist/hongyan.mjs" });
await build({ ...common, format: "cjs", outfile: "dist/hongyan.cjs" });
const plain = await build({ ...common, format: "iife", globalName: "hongyan", minify: true, write: false, outfile: "dist/hongyan.js" });
const either = `\nif (typeof module === "object" && module.exports) module.exports = hongyan;\n`;
await writeFile("dist/hongyan.js", plain.outputFiles[0].text.trimEnd() + either);

await copyFile("dist/hongyan.js", "../../examples/native/utils/hongyan.js").catch(() => {}); // where the whole repository is
const folder = "uni_modules/hongyan-subscribe";
await mkdir(`${folder}/js_sdk`, { recursive: true });
await cp("dist/hongyan.mjs", `${folder}/js_sdk/hongyan.js`);
await writeFile(`${folder}/package.json`, `${JSON.stringify({
  id: "hongyan-subscribe",
  displayName: "鸿雁订阅消息",
  version,
  description: "在正确的点击中请求微信订阅消息授权，并与鸿雁服务端对账",
  keywords: ["订阅消息", "微信小程序"],
  engines: { HBuilderX: "^3.8.0" },
  dcloudext: { type: "sdk-js" },
  uni_modules: { dependencies: [], encrypt: [] },
}, null, 2)}\n`);

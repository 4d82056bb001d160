// The package as it is given away: packed, unpacked elsewhere, imported both ways; the committed build is that of the sources.

import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createContext, runInContext } from "node:vm";
import { afterAll, beforeAll, expect, it } from "vitest";

const here = join(__dirname, "..");
let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), "hongyan-kit-"));
});
afterAll(() => rmSync(place, { recursive: true }));

const run = (program: string, args: string[], cwd: string) => execFileSync(program, args, { cwd, encoding: "utf8" });

it("packs, and imports both ways", () => {
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", place], here));
  run("tar", ["xzf", packed.filename], place);
  const use = "k.explain({ errCode: 20004 }).reason + ' ' + typeof k.createHongyan";
  run("mkdir", ["-p", "node_modules"], place);
  symlinkSync(join(place, "package"), join(place, "node_modules/hongyan-subscribe"));
  const esm = run("node", ["--input-type=module", "-e", `import * as k from "hongyan-subscribe"; console.log(${use})`], place);
  const cjs = run("node", ["--input-type=commonjs", "-e", `const k = require("hongyan-subscribe"); console.log(${use})`], place);
  expect([esm.trim(), cjs.trim()]).toEqual(["main_switch_off function", "main_switch_off function"]);
  const files: string[] = packed.files.map(({ path }: { path: string }) => path);
  expect(files).toContain("dist/types/index.d.ts");
  expect(files).toContain("uni_modules/hongyan-subscribe/js_sdk/hongyan.js");
  expect(files.filter((file) => file.startsWith("test") || file.startsWith("src"))).toEqual([]);
});

it("is one plain file too: as a module of a mini program, and as a script", () => {
  const text = readFileSync(join(here, "dist/hongyan.js"), "utf8");
  const module = { exports: {} as any };
  runInContext(text, createContext({ module }));
  expect(module.exports.explain({ errMsg: "… TAP gesture." }).reason).toBe("no_tap");
  const page = createContext({});
  expect(runInContext(`${text}; typeof hongyan.subscribe`, page)).toBe("function");
  expect(gzipSync(text, { level: 9 }).length).toBeLessThan(6000);
  expect(/\basync\b|\?\.|\?\?|\*\*/.test(text), "nothing newer than ES2015").toBe(false);
});

it("the committed build is that of the sources", () => {
  const copy = join(place, "copy");
  cpSync(here, copy, { recursive: true, filter: (path) => !/node_modules|\/dist|\/uni_modules/.test(path.slice(here.length)) });
  symlinkSync(join(here, "node_modules"), join(copy, "node_modules"));
  run("mkdir", ["-p", "uni_modules/hongyan-subscribe"], copy);
  run("npm", ["run", "-s", "build"], copy);
  for (const folder of ["dist", "uni_modules/hongyan-subscribe/js_sdk"]) {
    for (const file of readdirSync(join(copy, folder), { recursive: true, encoding: "utf8" })) {
      const built = join(copy, folder, file);
      if (statSync(built).isFile()) expect(readFileSync(join(here, folder, file), "utf8"), `${folder}/${file}: npm run build`).toBe(readFileSync(built, "utf8"));
    }
  }
});

it("its types fit WeChat's and uni-app's own", () => {
  run("npm", ["run", "-s", "types"], here);
});

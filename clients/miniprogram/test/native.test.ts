// examples/native as a mini program runs it: its files, with a fake `wx`.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import { expect, it, vi } from "vitest";
import { fakeWx } from "./wx.js";

const root = join(__dirname, "../../../examples/native");
const ok = (data: unknown) => ({ statusCode: 200, data });

function start(wx: ReturnType<typeof fakeWx>) {
  let app: any;
  const pages: { [path: string]: any } = {};
  const load = (path: string): any => {
    const module = { exports: {} as any };
    const folder = path.split("/").slice(0, -1).join("/");
    runInContext(readFileSync(join(root, path), "utf8"), createContext({
      wx,
      module,
      setTimeout,
      App: (made: unknown) => { app = made; },
      getApp: () => app,
      Page: (made: any) => {
        pages[path] = { ...made, data: { ...made.data }, setData(more: object) { Object.assign(this.data, more); } };
      },
      require: (other: string) => load(join(folder, other)),
    }));
    return module.exports;
  };
  load("app.js");
  const { pages: paths } = JSON.parse(readFileSync(join(root, "app.json"), "utf8"));
  paths.forEach((path: string) => load(`${path}.js`));
  return pages;
}

it("the native example logs in, asks, subscribes and opens its page", async () => {
  const ask = { template_ids: ["A", "B"], templates: [], report: false };
  const wx = fakeWx({ answers: [ok({ session: "S" }), ok(ask)], popups: [{ A: "accept", B: "reject" }] });
  const pages = start(wx);
  const index = pages["pages/index/index.js"];
  index.onShow();
  await vi.waitFor(() => expect(index.data.ids).toEqual(["A", "B"]));
  index.onSubscribe();
  expect(wx.asked, "within the tap").toEqual([["A", "B"]]);
  await vi.waitFor(() => expect(index.data.ids).toEqual(["B"]));
  const notice = pages["pages/notice/notice.js"];
  notice.onLoad({ room: "3-1201" });
  expect(notice.data.query.room).toBe("3-1201");
});

it("its copy of the kit is the one that is given away", () => {
  const given = readFileSync(join(__dirname, "../dist/hongyan.js"), "utf8");
  expect(readFileSync(join(root, "utils/hongyan.js"), "utf8")).toBe(given);
});

//! docs/ERRORS.md and docs/zh/ERRORS.md: every code with its status, what it means and what to do. Only the test that writes and compares them needs it.

use std::fmt::Write;

use service::Lang;
use service::problem::codes::{self, Code};

use crate::problem::status;

const ZH: &str = "# 接口错误码\n\n[English](../ERRORS.md) · [全部文档](README.md)\n\n\
    <!-- 由 cargo xtask gen 从 crates/service/src/problem/codes 生成，请在那里修改。 -->\n\n\
    接口的错误都是 `application/problem+json`（RFC 9457）：`code` 稳定不变，程序按它判断；`detail` 写明哪里、什么、怎么办，\
    语言随 `Accept-Language`。运行中的服务在 `/docs` 里按调用列出可能的代码。微信的错误码另见[这里](ERRCODES.md)。\n";
const EN: &str = "# Errors of the interface\n\n[中文](zh/ERRORS.md) · [All documents](README.md)\n\n\
    <!-- Made by cargo xtask gen from crates/service/src/problem/codes; change it there. -->\n\n\
    Every error of the interface is `application/problem+json` (RFC 9457): `code` is stable, for programs; `detail` says what, where and what \
    to do, in the language of `Accept-Language`. `/docs` of a running service names the codes of each call. WeChat's own errcodes \
    [have a page of theirs](ERRCODES.md).\n";

/// The page in a language.
pub(super) fn errors(lang: Lang) -> String {
    let (opening, of_requests, of_fields, about_fields, [code, word, meaning, remedy]) = match lang {
        Lang::Zh => (
            ZH,
            "整个请求的代码",
            "单个字段的代码",
            "在 `validation_failed`（422）的 `errors` 里，每项有 `pointer`（位置）、`code` 和 `detail`。",
            ["代码", "状态", "含义", "怎么办"],
        ),
        Lang::En => (
            EN,
            "Codes of a request",
            "Codes of one field",
            "They stand in `errors` of `validation_failed` (422), each with `pointer`, `code` and `detail`.",
            ["Code", "Status", "Meaning", "What to do"],
        ),
    };
    let mut page = opening.to_owned();
    let _ =
        write!(page, "\n## {of_requests}\n\n| {code} | {word} | {meaning} | {remedy} |\n|---|---|---|---|\n");
    for one in codes::all() {
        if let Some(kind) = one.kind {
            row(&mut page, one, lang, &format!(" {} |", status(kind).as_u16()));
        }
    }
    let _ = write!(
        page,
        "\n## {of_fields}\n\n{about_fields}\n\n| {code} | {meaning} | {remedy} |\n|---|---|---|\n"
    );
    for one in codes::all().filter(|one| one.kind.is_none()) {
        row(&mut page, one, lang, "");
    }
    page
}

fn row(page: &mut String, code: &Code, lang: Lang, status: &str) {
    let cell = |text: &str| text.replace('|', "\\|");
    let (meaning, remedy) = (cell(code.meaning(lang)), cell(code.remedy(lang)));
    let _ = writeln!(page, "| `{}` |{status} {meaning} | {remedy} |", code.code);
}

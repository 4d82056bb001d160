//! docs/ERRORS.md: every code with its status, what it means and what to do, in Chinese and English.

use std::fmt::Write;

use service::Lang;
use service::problem::codes::{self, Code};

use crate::problem::status;

/// The whole page.
pub fn errors() -> String {
    let mut page = String::from(
        "# 错误代码 / Error codes\n\n<!-- Made by `cargo xtask gen` from crates/service/src/problem/codes; change it there. -->\n\n\
         [中文](#中文) · [English](#english)\n",
    );
    half(
        &mut page,
        Lang::Zh,
        "中文",
        "接口的错误都是 `application/problem+json`（RFC 9457）：`code` 稳定不变，程序按它判断；`detail` 写明哪里、什么、怎么办，\
         语言随 `Accept-Language`。正在运行的服务在 `/docs` 里按调用列出可能的代码。微信的错误码（errcode）另见消息的 `explanation`。",
        ("代码", "状态", "含义", "怎么办"),
        (
            "整个请求的代码",
            "单个字段的代码",
            "在 `validation_failed`（422）的 `errors` 里，每项有 `pointer`（位置）、`code` 和 `detail`。",
        ),
    );
    half(
        &mut page,
        Lang::En,
        "English",
        "Every error of the interface is `application/problem+json` (RFC 9457): `code` is stable, for programs; `detail` says what, where and \
         what to do, in the language of `Accept-Language`. `/docs` of a running service names the codes of each call. WeChat's own errcodes are \
         explained by a message's `explanation`.",
        ("Code", "Status", "Meaning", "What to do"),
        (
            "Codes of a request",
            "Codes of one field",
            "They stand in `errors` of `validation_failed` (422), each with `pointer`, `code` and `detail`.",
        ),
    );
    page
}

type Columns = (&'static str, &'static str, &'static str, &'static str);

fn half(page: &mut String, lang: Lang, title: &str, opening: &str, head: Columns, parts: (&str, &str, &str)) {
    let _ = write!(page, "\n## {title}\n\n{opening}\n\n### {}\n\n", parts.0);
    let (code, word, meaning, remedy) = head;
    let _ = writeln!(page, "| {code} | {word} | {meaning} | {remedy} |\n|---|---|---|---|");
    for one in codes::all().filter(|one| one.kind.is_some()) {
        row(page, one, lang, true);
    }
    let _ = write!(page, "\n### {}\n\n{}\n\n", parts.1, parts.2);
    let _ = writeln!(page, "| {code} | {meaning} | {remedy} |\n|---|---|---|");
    for one in codes::all().filter(|one| one.kind.is_none()) {
        row(page, one, lang, false);
    }
}

fn row(page: &mut String, code: &Code, lang: Lang, with_status: bool) {
    let status = match code.kind {
        Some(kind) if with_status => format!(" {} |", status(kind).as_u16()),
        _ => String::new(),
    };
    let cell = |text: &str| text.replace('|', "\\|");
    let _ = writeln!(
        page,
        "| `{}` |{status} {} | {} |",
        code.code,
        cell(code.meaning(lang)),
        cell(code.remedy(lang))
    );
}

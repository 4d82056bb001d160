//! The page's own words in both languages.

use service::Lang;

pub(super) struct Words {
    pub(super) lang: Lang,
    pub(super) tag: &'static str,
    pub(super) title: &'static str,
    pub(super) other: &'static str,
    pub(super) opening: &'static str,
    pub(super) errors: &'static str,
    pub(super) about_errors: &'static str,
    pub(super) of_requests: &'static str,
    pub(super) of_fields: &'static str,
    pub(super) schemas: &'static str,
    pub(super) code: &'static str,
    pub(super) meaning: &'static str,
    pub(super) remedy: &'static str,
    pub(super) parameters: &'static str,
    pub(super) body: &'static str,
    pub(super) answers: &'static str,
    pub(super) example: &'static str,
    pub(super) required: &'static str,
    pub(super) scope: &'static str,
    pub(super) session: &'static str,
    pub(super) open: &'static str,
    pub(super) headers: &'static str,
}

impl Words {
    pub(super) fn of(lang: Lang) -> Self {
        match lang {
            Lang::Zh => Self {
                lang,
                tag: "zh-CN",
                title: "Hongyan 鸿雁接口文档",
                other: "<a href=\"?lang=en\">English</a> · <a href=\"api/v1/openapi.json\">openapi.json</a>",
                opening: "/api/v1 下的调用带 <code>Authorization: Bearer 密钥</code>（<code>hongyan key create</code> 生成）；密钥有权限（read、send、manage、token），\
                          可访问一个或所有小程序。/mp 下的调用带会话。时间是带时区的 RFC 3339；列表用 <code>cursor</code> 翻页，一页可能不满。",
                errors: "错误代码",
                about_errors: "错误是 <code>application/problem+json</code>（RFC 9457）：<code>code</code> 稳定不变，<code>detail</code> 写明哪里、什么、怎么办，语言随 <code>Accept-Language</code>。",
                of_requests: "整个请求",
                of_fields: "单个字段（validation_failed 的 errors）",
                schemas: "数据结构",
                code: "代码",
                meaning: "含义",
                remedy: "怎么办",
                parameters: "参数",
                body: "请求体",
                answers: "回答",
                example: "例子",
                required: "必填",
                scope: "需要权限",
                session: "需要会话",
                open: "无需密钥",
                headers: "响应头",
            },
            Lang::En => Self {
                lang,
                tag: "en",
                title: "Hongyan: the interface",
                other: "<a href=\"?lang=zh\">中文</a> · <a href=\"api/v1/openapi.json\">openapi.json</a>",
                opening: "Calls under /api/v1 carry <code>Authorization: Bearer KEY</code> (<code>hongyan key create</code>); a key has scopes (read, send, manage, \
                          token) and sees one app or all. Calls under /mp carry a session. Times are RFC 3339 with an offset; lists are paged by <code>cursor</code>, and a page may be short.",
                errors: "Error codes",
                about_errors: "Errors are <code>application/problem+json</code> (RFC 9457): <code>code</code> is stable, <code>detail</code> says what, where and what to do, in the language of <code>Accept-Language</code>.",
                of_requests: "Of a request",
                of_fields: "Of one field (errors of validation_failed)",
                schemas: "Schemas",
                code: "Code",
                meaning: "Meaning",
                remedy: "What to do",
                parameters: "Parameters",
                body: "Body",
                answers: "Answers",
                example: "example",
                required: "required",
                scope: "scope",
                session: "needs a session",
                open: "no key",
                headers: "Headers",
            },
        }
    }
}

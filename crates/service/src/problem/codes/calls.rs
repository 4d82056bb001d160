//! Codes that any call may answer: who calls, how the request is written, whether the service and WeChat can be reached.

use super::{Code, code};
use crate::problem::Kind::*;

pub(super) const CODES: &[Code] = &[
    code(
        "unauthorized",
        Some(Unauthorized),
        ("没有带有效的接口密钥", "在请求头写 Authorization: Bearer hy_…；用 hongyan key create 生成密钥"),
        (
            "no valid API key came with the request",
            "send `Authorization: Bearer hy_…`; `hongyan key create` makes a key",
        ),
    ),
    code(
        "missing_scope",
        Some(Forbidden),
        (
            "接口密钥没有这个调用需要的权限，或不能访问所有小程序",
            "换一个有此权限的密钥；权限在 /docs 里随每个调用写明",
        ),
        (
            "the key lacks the scope that the call needs, or does not see every app",
            "use a key that has it; /docs names the scope of each call",
        ),
    ),
    code(
        "app_not_found",
        Some(NotFound),
        ("没有这个小程序，或该密钥无权访问它", "用 hongyan app list 核对 AppID，并核对密钥绑定的小程序"),
        (
            "there is no such app, or the key does not see it",
            "compare the AppID with `hongyan app list`, and with the app of the key",
        ),
    ),
    code(
        "route_not_found",
        Some(NotFound),
        ("没有这个地址", "核对路径与请求方法；接口说明见 /docs"),
        ("there is nothing at this address", "compare path and method with /docs"),
    ),
    code(
        "invalid_path",
        Some(Malformed),
        ("路径里有无法解码的部分", "路径参数按 UTF-8 做百分号编码"),
        ("a part of the path cannot be decoded", "percent-encode path parameters as UTF-8"),
    ),
    code(
        "invalid_query",
        Some(Malformed),
        ("查询参数的名称或值有误", "按 detail 修改；参数见 /docs"),
        (
            "a query parameter's name or value is wrong",
            "change it as the detail says; /docs names the parameters",
        ),
    ),
    code(
        "invalid_cursor",
        Some(Malformed),
        ("cursor 不是本服务给出的", "原样使用上一页的 next_cursor；从头读则不传"),
        (
            "the cursor is not one that was given",
            "use next_cursor of the page before as it is; leave it out to begin anew",
        ),
    ),
    code(
        "malformed_json",
        Some(Malformed),
        ("请求体不是 JSON", "检查引号、逗号与编码（UTF-8）"),
        ("the body is not JSON", "look at quotes, commas and the encoding (UTF-8)"),
    ),
    code(
        "body_unreadable",
        Some(Malformed),
        ("请求体中途断开，或超过 16 MiB", "重试；太大则拆分"),
        ("the body broke off, or is larger than 16 MiB", "try again; split it where it is too large"),
    ),
    code(
        "no_form",
        Some(Malformed),
        ("上传不是 multipart/form-data", "用表单上传，文件放在 file 字段"),
        ("the upload is not multipart/form-data", "send a form with the file in the field `file`"),
    ),
    code(
        "invalid_csv",
        Some(Malformed),
        ("不是 UTF-8 编码、第一行为表头的 CSV", "另存为“CSV UTF-8”，第一行写列名"),
        (
            "that is no CSV in UTF-8 with a head",
            "save it as “CSV UTF-8” with the columns' names in the first row",
        ),
    ),
    code(
        "invalid_body",
        Some(Invalid),
        ("请求体是 JSON，但缺少字段、多了字段，或字段的类型不对", "按 detail 修改；字段见 /docs"),
        (
            "the body is JSON, but a field is missing, unknown or of another type",
            "change it as the detail says; /docs names the fields",
        ),
    ),
    code(
        "validation_failed",
        Some(Invalid),
        ("一个或多个字段的内容有误", "errors 里逐项写明位置（pointer）、代码和改法"),
        ("one or more fields are wrong", "`errors` names each with its pointer, its code and what to do"),
    ),
    code(
        "batch_too_large",
        Some(Invalid),
        ("一次超过 1,000 项", "分批提交"),
        ("more than 1,000 at once", "send several batches"),
    ),
    code(
        "idempotency_key_reused",
        Some(Invalid),
        ("同一个 Idempotency-Key 在 24 小时内用于内容不同的请求", "重试时内容保持不变；新的请求用新的键"),
        (
            "the Idempotency-Key was used within 24 hours for a request with another body",
            "keep the body when retrying; take a new key for a new request",
        ),
    ),
    code(
        "too_many_calls",
        Some(TooMany),
        ("小程序端的调用过于频繁", "等待 Retry-After 的秒数后再试"),
        ("the mini program calls too often", "wait as long as Retry-After says"),
    ),
    code(
        "too_many_attempts",
        Some(TooMany),
        ("登录控制台的尝试次数过多", "15 分钟后再试"),
        ("too many attempts to sign in to the console", "try again in 15 minutes"),
    ),
    code(
        "store_unavailable",
        Some(Unavailable),
        ("数据库暂时不可用，什么都没有写入", "等待 Retry-After 后重试；若持续出现，看服务日志与磁盘空间"),
        (
            "the database is away, and nothing was written",
            "retry after Retry-After; if it lasts, look at the service's log and the disk",
        ),
    ),
    code(
        "sheet_not_written",
        Some(Unavailable),
        ("无法生成表格文件：磁盘已满或数据目录不可写", "清理磁盘或修正权限后重试"),
        (
            "the sheet cannot be written: the disk is full or the data directory read-only",
            "make room or mend the rights, then try again",
        ),
    ),
    code(
        "password_not_checked",
        Some(Unavailable),
        ("密码暂时无法校验", "重试"),
        ("the password could not be checked", "try again"),
    ),
    code(
        "wechat_call_failed",
        Some(Upstream),
        ("微信返回了错误码，或没有得到有效回答", "detail 里有错误码的含义与处理办法"),
        ("WeChat answered an error, or nothing usable", "the detail explains the errcode and what to do"),
    ),
    code(
        "wechat_refused",
        Some(Invalid),
        ("微信拒绝了这个请求，原样再试也不会成功", "detail 里有错误码的含义与处理办法，如重新选择模板编号"),
        (
            "WeChat refuses what was asked for, and will refuse it again",
            "the detail explains the errcode and what to change, such as the template's number",
        ),
    ),
    code(
        "token_rejected",
        Some(Upstream),
        (
            "access_token 被微信拒绝，且强制刷新次数暂时用完",
            "检查是否有其他系统在用同一 AppSecret 刷新；30 秒后再试",
        ),
        (
            "WeChat rejects the access token, and forced refreshes are used up for now",
            "look for another system that refreshes with the same AppSecret; try again in 30 seconds",
        ),
    ),
    code(
        "token_source_failed",
        Some(Upstream),
        ("团队自己的 access_token 服务没有给出可用的 access_token", "检查 token_source 的地址与请求头"),
        ("the app's token source gave no access token", "check the address and header of token_source"),
    ),
    code(
        "template_not_seen",
        Some(Upstream),
        ("微信已选用模板，但模板列表里还看不到", "稍后同步模板"),
        ("WeChat took the template but does not list it yet", "sync the templates a little later"),
    ),
    code(
        "invalid_session",
        Some(Unauthorized),
        ("/mp 的调用没有带有效的会话", "用 mp-sessions 或 login 取得会话，放在 Authorization: Bearer 里"),
        (
            "a call under /mp has no valid session",
            "get one by mp-sessions or login, and send it as Authorization: Bearer",
        ),
    ),
    code(
        "session_expired",
        Some(Unauthorized),
        ("小程序会话已过期（两小时）", "重新取得会话"),
        ("the mini program's session is over (two hours)", "get a new one"),
    ),
    code(
        "user_blocked",
        Some(Forbidden),
        ("微信认为该用户存在风险，拒绝登录（40226）", "不要重试；这个用户不能登录"),
        ("WeChat blocks this user as a risk (40226)", "do not retry; this user cannot log in"),
    ),
    code(
        "login_paused",
        Some(Unavailable),
        ("微信登录接口连续失败，暂停调用以免用尽额度", "等待 Retry-After 的秒数"),
        (
            "WeChat's login failed several times in a row and is left alone, to spare the quota",
            "wait as long as Retry-After says",
        ),
    ),
    code(
        "wrong_credentials",
        Some(Unauthorized),
        ("控制台的名字或密码不对", "忘记密码时，在服务器上运行 hongyan operator set-password 名字"),
        (
            "name or password of the console is wrong",
            "where it is forgotten, run `hongyan operator set-password NAME` on the server",
        ),
    ),
    code(
        "forbidden",
        Some(Forbidden),
        ("成员的角色不能做这件事（控制台）", "请管理员在“成员与权限”里调整"),
        ("the operator's role may not do this (console)", "an administrator can change it under Operators"),
    ),
    code(
        "stale_form",
        Some(Forbidden),
        ("控制台的页面已过期", "返回上一页刷新后再试"),
        ("the console's page is out of date", "go back, load it again, and try once more"),
    ),
    code(
        "simulator_not_started",
        Some(Unavailable),
        ("控制台的微信模拟器没有启动", "看 detail 里的原因（通常是端口被占用）"),
        ("the console's simulated WeChat could not be started", "the detail says why, mostly a port in use"),
    ),
];

//! Codes that speak of what there is, and of the state in which it is.

use super::{Code, code};
use crate::problem::Kind::*;

pub(super) const CODES: &[Code] = &[
    code(
        "message_not_found",
        Some(NotFound),
        ("没有这条消息", "核对消息编号与小程序"),
        ("there is no such message", "compare its id and the app"),
    ),
    code(
        "campaign_not_found",
        Some(NotFound),
        ("没有这个发送任务", "核对编号与小程序"),
        ("there is no such campaign", "compare its id and the app"),
    ),
    code(
        "upload_not_found",
        Some(NotFound),
        ("没有这个上传文件", "核对编号；文件只保存 7 天"),
        ("there is no such upload", "compare its id; files are kept for 7 days"),
    ),
    code(
        "template_not_found",
        Some(NotFound),
        ("没有这个模板", "同步模板后核对模板 ID 或别名"),
        ("there is no such template", "sync the templates and compare the id or alias"),
    ),
    code(
        "subscriber_not_found",
        Some(NotFound),
        ("没有登记过这个用户的资料", "先用 PUT …/subscribers/{openid} 登记"),
        ("nothing is registered of this person", "register the person by PUT …/subscribers/{openid}"),
    ),
    code(
        "guest_not_found",
        Some(NotFound),
        ("试发名单里没有这个人", "用 GET …/guests 核对"),
        ("there is no such guest", "compare with GET …/guests"),
    ),
    code(
        "callback_not_found",
        Some(NotFound),
        ("没有这条推送记录", "核对编号；内容按保留时长删除"),
        ("there is no such callback", "compare its id; they are kept for a limited time"),
    ),
    code(
        "schedule_not_found",
        Some(NotFound),
        ("没有这个定时任务", "核对编号与小程序"),
        ("there is no such schedule", "compare its id and the app"),
    ),
    code(
        "webhook_not_found",
        Some(NotFound),
        ("没有这个 Webhook", "用 GET /webhooks 核对"),
        ("there is no such webhook", "compare with GET /webhooks"),
    ),
    code(
        "key_not_found",
        Some(NotFound),
        ("没有这个有效的接口密钥", "用 GET /keys 或 hongyan key list 核对；可能已吊销"),
        ("there is no such valid key", "compare with GET /keys; it may have been revoked"),
    ),
    code(
        "operator_not_found",
        Some(NotFound),
        ("没有这个成员", "用 GET /operators 核对名字"),
        ("there is no such operator", "compare the name with GET /operators"),
    ),
    code(
        "not_found",
        Some(NotFound),
        ("控制台没有这个页面所指的内容", "返回列表重新选择"),
        ("the console has nothing of that kind", "go back to the list and choose again"),
    ),
    code(
        "already_settled",
        Some(Conflict),
        ("消息的状态已经不允许这个操作", "先 GET 这条消息看它的状态；已发出的不能取消，已送达的不能重发"),
        (
            "the message's state no longer allows it",
            "look at its state: what was sent cannot be cancelled, what arrived is not sent again",
        ),
    ),
    code(
        "wrong_state",
        Some(Conflict),
        ("发送任务现在的状态不允许这个操作", "先 GET 这个任务看它的状态；要改已开始的任务，复制一份再改"),
        (
            "the campaign's state does not allow it",
            "look at its state; to change one that was started, copy it",
        ),
    ),
    code(
        "own_campaign",
        Some(Forbidden),
        ("不能审批自己创建的任务", "由另一位成员（另一个密钥）审批"),
        ("nobody approves a campaign of their own", "another member (another key) has to"),
    ),
    code(
        "no_grant",
        Some(Invalid),
        (
            "该用户对此模板没有可用的订阅次数，而请求要求没有次数就不发",
            "在小程序里再次邀请订阅；仍要尝试则把 on_empty_balance 改为 try",
        ),
        (
            "the user has no grant left for the template, and the request asked for refusal then",
            "ask again in the mini program, or set on_empty_balance to try",
        ),
    ),
    code(
        "template_gone",
        Some(Conflict),
        ("发送任务的模板已不在微信后台", "换用现有模板"),
        ("WeChat no longer has the campaign's template", "use one that exists"),
    ),
    code(
        "invalid_placeholder",
        Some(Invalid),
        ("任务的占位符写法有误", "写法：{{列名}}、{{金额|money}}、{{称呼|default:业主}}"),
        (
            "a placeholder of the campaign is wrong",
            "it is written {{column}}, {{fee|money}}, {{who|default:owner}}",
        ),
    ),
    code(
        "upload_gone",
        Some(Conflict),
        ("上传的文件已不再保存（7 天后，或有人要求删除信息时）", "重新上传"),
        ("the file is no longer kept (after 7 days, or when somebody's data are erased)", "upload it again"),
    ),
    code(
        "empty_file",
        Some(Invalid),
        ("文件里没有任何内容", "检查是否选错了文件"),
        ("there is nothing in the file", "look whether it is the right one"),
    ),
    code(
        "unsupported_file",
        Some(Invalid),
        ("这种文件无法读取", "另存为 XLSX 或 CSV"),
        ("this kind of file is not read", "save it as XLSX or CSV"),
    ),
    code(
        "encrypted_file",
        Some(Invalid),
        ("文件设了打开密码", "在 Excel 中取消密码后再上传"),
        ("the file has a password", "take it away in Excel and upload it again"),
    ),
    code(
        "damaged_file",
        Some(Invalid),
        ("文件已损坏，或内容与格式不符", "用 Excel 或 WPS 打开后另存为 XLSX"),
        ("the file is damaged or not what it seems", "open it in Excel or WPS and save it as XLSX"),
    ),
    code(
        "file_too_large",
        Some(Invalid),
        ("文件解压后太大", "拆分后上传"),
        ("the file unpacks to too much", "split it"),
    ),
    code(
        "sheet_too_large",
        Some(Invalid),
        ("工作表的行或列太多", "拆分后上传"),
        ("the sheet has too many rows or columns", "split it"),
    ),
    code(
        "unknown_encoding",
        Some(Invalid),
        ("文字既不是 UTF-8，也不是 GB18030 或 UTF-16", "另存为“CSV UTF-8”或 XLSX"),
        ("the text is neither UTF-8 nor GB18030 nor UTF-16", "save it as “CSV UTF-8” or XLSX"),
    ),
    code(
        "unknown_sheet",
        Some(Invalid),
        ("文件里没有这个工作表", "detail 列出了现有的工作表"),
        ("the file has no such sheet", "the detail names those that it has"),
    ),
    code(
        "no_file",
        Some(Invalid),
        ("控制台的表单里没有文件", "选择一个文件"),
        ("the console's form has no file", "choose one"),
    ),
    code(
        "not_replayable",
        Some(Conflict),
        ("这条推送不能重新处理：只有被隔离或忽略的订阅事件可以", "不需要处理；它已生效，或不是订阅事件"),
        (
            "the callback cannot be replayed: only subscribe events that were quarantined or ignored can",
            "nothing; it took effect, or is no subscribe event",
        ),
    ),
    code(
        "still_unreadable",
        Some(Conflict),
        ("这条推送仍然无法解析", "看它的内容；升级后再试"),
        ("the callback still cannot be read", "look at its text; try again after an upgrade"),
    ),
    code(
        "external_id_taken",
        Some(Conflict),
        ("这个 external_id 已属于另一位用户", "先改掉那一位，或换一个编号"),
        ("another person has this external_id", "change that one first, or choose another id"),
    ),
    code(
        "sensitive_attributes",
        Some(Conflict),
        ("控制台不能修改有敏感属性的用户", "用接口或导入来修改"),
        (
            "the console does not change a person with sensitive attributes",
            "change them by the API or an import",
        ),
    ),
    code(
        "app_exists",
        Some(Conflict),
        ("小程序已登记", "修改用 PATCH /apps/{appid} 或 hongyan app set"),
        ("the app is registered already", "change it by PATCH /apps/{appid} or `hongyan app set`"),
    ),
    code(
        "alias_taken",
        Some(Conflict),
        ("该回调路径已被另一个小程序使用", "换一个路径"),
        ("another app has this alias", "choose another"),
    ),
    code(
        "no_scope",
        Some(Invalid),
        ("密钥没有任何权限", "至少写一个：send、read、manage、token"),
        ("a key needs a scope", "name one at least: send, read, manage, token"),
    ),
    code(
        "operator_exists",
        Some(Conflict),
        ("已有同名的成员", "换一个名字"),
        ("there is an operator of that name", "choose another name"),
    ),
    code(
        "last_admin",
        Some(Conflict),
        ("这是最后一位管理员", "先让另一位成员成为管理员"),
        ("this is the last administrator", "make somebody else one first"),
    ),
    code(
        "already_set_up",
        Some(Conflict),
        ("管理员已经创建", "直接登录控制台"),
        ("there is an administrator already", "sign in"),
    ),
    code(
        "invalid_role",
        Some(Invalid),
        ("没有这种角色（控制台）", "用 admin、sender、editor 或 viewer"),
        ("there is no such role (console)", "use admin, sender, editor or viewer"),
    ),
    code(
        "not_confirmed",
        Some(Invalid),
        ("删除没有确认（控制台）", "原样输入 openid"),
        ("the deletion is not confirmed (console)", "type the openid as it is"),
    ),
    code(
        "missing_column",
        Some(Invalid),
        ("导入的表里找不到需要的列", "detail 列出了现有的列；用 --column 指定"),
        (
            "the table to import lacks a column",
            "the detail names those that there are; name it with --column",
        ),
    ),
];

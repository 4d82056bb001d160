//! Codes of the send call. Source: official page "发送订阅消息" and, for the general ones, "全局返回码".

use super::Class::*;
use super::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(0, Ok, ("成功", "无需处理"), ("success", "nothing to do")),
    entry(
        -1,
        Ambiguous,
        ("微信系统繁忙，请求可能已处理，也可能没有", "稍后自动重试；若之后得到 43101，先看送达回执"),
        (
            "WeChat is busy; the request may or may not have been carried out",
            "it is tried again later; on a following 43101 look at the receipt first",
        ),
    ),
    entry(
        40001,
        RefreshToken,
        (
            "access_token 无效或不是最新的，或 AppSecret 错误",
            "刷新 access_token 后重试一次；若仍然出现，检查 AppSecret，以及是否有别的系统在用同一小程序刷新 access_token",
        ),
        (
            "the access_token is invalid or not the latest, or the AppSecret is wrong",
            "refresh the access_token and try once more; if it stays, check the AppSecret and whether another system refreshes the token of this app",
        ),
    ),
    entry(
        40003,
        Permanent,
        ("openid 无效", "检查这个 openid 是否属于本小程序（公众号或其他小程序的 openid 不能用）"),
        (
            "the openid is invalid",
            "check that it belongs to this mini program, not to another app or an official account",
        ),
    ),
    entry(
        40014,
        RefreshToken,
        ("access_token 无效", "刷新 access_token 后重试一次"),
        ("the access_token is invalid", "refresh it and try once more"),
    ),
    entry(
        40037,
        Permanent,
        ("模板 ID 无效，模板可能已被删除", "同步模板，改用“我的模板”里的模板 ID"),
        (
            "the template id is invalid, the template may have been deleted",
            "synchronise the templates and use an existing id",
        ),
    ),
    entry(
        40165,
        Permanent,
        ("小程序页面路径无效", "检查跳转页面的路径，不要以 / 开头"),
        (
            "the page path of the mini program is invalid",
            "check the path of the page, without a leading slash",
        ),
    ),
    entry(
        41001,
        Configuration,
        ("缺少 access_token", "检查 access_token 的来源，这通常是程序或代理的问题"),
        (
            "the access_token is missing",
            "check where the token comes from; usually a fault of the program or a proxy",
        ),
    ),
    entry(
        41030,
        Permanent,
        ("跳转页面不在已发布的版本中", "发布含有这个页面的版本，或修改跳转页面"),
        (
            "the page does not exist in the released version",
            "release a version that has the page, or change the page",
        ),
    ),
    entry(
        42001,
        RefreshToken,
        ("access_token 已过期", "刷新 access_token 后重试一次"),
        ("the access_token has expired", "refresh it and try once more"),
    ),
    entry(
        43101,
        Refused,
        ("用户未订阅消息：从未订阅、订阅次数已用完，或已拒收", "无需重试；在小程序里再次邀请用户订阅"),
        (
            "no usable subscription: never subscribed, all grants spent, or switched off",
            "do not try again; invite the user in the mini program to subscribe once more",
        ),
    ),
    entry(
        43107,
        Configuration,
        ("订阅消息能力或这个模板被封禁", "在微信后台查看站内信和违规记录，按提示申诉或整改"),
        (
            "subscribe messages or this template are banned",
            "read the notices in WeChat's console and appeal or correct",
        ),
    ),
    entry(
        43108,
        Retry,
        ("同一用户有并发的发送", "稍后自动重试；对同一用户不要并发调用，也检查是否有别的系统同时在发"),
        (
            "concurrent sends to the same user",
            "it is tried again soon; do not call concurrently for one user, and see whether another system sends too",
        ),
    ),
    entry(
        43116,
        Configuration,
        ("这个模板因滥用已被限制下发", "在微信后台查看通知，整改后再发"),
        (
            "this template is restricted because of abuse",
            "read the notices in WeChat's console and correct the use",
        ),
    ),
    entry(
        44002,
        Permanent,
        ("请求的 POST 内容为空", "检查程序或代理是否丢掉了请求内容"),
        ("the POST body is empty", "check whether the program or a proxy lost it"),
    ),
    entry(
        45009,
        Quota,
        (
            "今日调用额度已用完",
            "等到次日额度恢复，或由微信后台的管理员清零（每月次数有限）；在“查询 API 调用额度”里看实际额度",
        ),
        (
            "the daily quota is used up",
            "wait for the next day, or have an administrator clear it (a few times a month); the quota call tells the real limit",
        ),
    ),
    entry(
        45011,
        MinuteLimit,
        ("调用太频繁，超过每分钟限制", "下一分钟自动重试；若经常出现，调低发送速度"),
        (
            "too many calls in this minute",
            "it is tried again in the next minute; if it is frequent, lower the rate",
        ),
    ),
    entry(
        45168,
        Permanent,
        ("内容命中敏感词", "修改内容后重新发送"),
        ("the content holds a sensitive word", "change the content and send anew"),
    ),
    entry(
        47001,
        Permanent,
        ("请求的 JSON 无法解析", "检查程序或代理是否改动了请求内容"),
        ("the JSON of the request cannot be parsed", "check whether the program or a proxy altered the body"),
    ),
    entry(
        47003,
        Permanent,
        ("内容不符合模板字段的要求", "按模板核对字段和格式，修改后重新发送"),
        (
            "the data do not fit the fields of the template",
            "compare fields and formats with the template, correct, send anew",
        ),
    ),
    entry(
        9_800_006,
        Permanent,
        ("设备的 model_id 与 sn 不匹配", "核对设备型号和序列号"),
        ("model_id and sn of the device do not belong together", "check the model and the serial number"),
    ),
];

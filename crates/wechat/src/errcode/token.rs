//! Codes of the token calls. Source: official pages "获取稳定版接口调用凭据" and "获取接口调用凭据".

use super::Class::*;
use super::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        40002,
        Configuration,
        ("grant_type 无效", "这是程序的问题，升级后再试"),
        ("the grant_type is invalid", "a fault of the program; update it"),
    ),
    entry(
        40013,
        Configuration,
        ("AppID 无效", "在微信后台核对 AppID（小程序 ID）"),
        ("the AppID is invalid", "compare the AppID with WeChat's console"),
    ),
    entry(
        40125,
        Configuration,
        ("AppSecret 无效", "在微信后台核对 AppSecret（小程序密钥）；重置后旧密钥立即失效"),
        ("the AppSecret is invalid", "compare it with WeChat's console; a reset kills the old one at once"),
    ),
    entry(
        40164,
        Configuration,
        ("本服务器的 IP 不在 API IP 白名单中", "由微信后台的管理员把这个 IP 加入 API IP 白名单"),
        (
            "the IP address of this server is not on the API IP allow-list",
            "have an administrator add it in WeChat's console",
        ),
    ),
    entry(
        40243,
        Configuration,
        ("AppSecret 已被冻结", "由微信后台的管理员解冻，10 分钟后生效"),
        ("the AppSecret is frozen", "have an administrator unfreeze it; it takes 10 minutes"),
    ),
    entry(
        41002,
        Configuration,
        ("缺少 AppID", "填写 AppID（小程序 ID）"),
        ("the AppID is missing", "set the AppID"),
    ),
    entry(
        41004,
        Configuration,
        ("缺少 AppSecret", "填写 AppSecret（小程序密钥）"),
        ("the AppSecret is missing", "set the AppSecret"),
    ),
    entry(
        43002,
        Configuration,
        ("需要用 POST 请求", "检查代理是否改动了请求方法"),
        ("the call needs POST", "check whether a proxy altered the method"),
    ),
    entry(
        50004,
        Configuration,
        ("禁止使用 token 接口", "在微信后台查看账号状态和通知"),
        (
            "the token call is forbidden for this account",
            "read the account's state and notices in WeChat's console",
        ),
    ),
    entry(
        50007,
        Configuration,
        ("账号已冻结", "在微信后台查看原因并解冻"),
        ("the account is frozen", "see the reason in WeChat's console and have it unfrozen"),
    ),
    entry(
        89503,
        Configuration,
        ("这个 IP 的调用需要管理员确认", "请微信后台的管理员在手机上确认"),
        (
            "calls from this IP address wait for the administrator's consent",
            "ask the administrator to confirm on the phone",
        ),
    ),
    entry(
        89506,
        Configuration,
        ("管理员已拒绝这个 IP 的调用，24 小时内不能再试", "请与微信后台的管理员确认，24 小时后再试"),
        (
            "the administrator refused this IP address, for 24 hours",
            "talk to the administrator and try again after 24 hours",
        ),
    ),
    entry(
        89507,
        Configuration,
        ("管理员已拒绝这个 IP 的调用，1 小时内不能再试", "请与微信后台的管理员确认，1 小时后再试"),
        (
            "the administrator refused this IP address, for 1 hour",
            "talk to the administrator and try again after 1 hour",
        ),
    ),
];

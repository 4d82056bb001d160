//! Codes of permissions, quotas, diagnostics, third-party platforms and API security. Source: official pages
//! "openApi管理", "服务端 API 签名", the open platform's error list, and "全局返回码".

use super::Class::*;
use super::{Entry, entry};

const SIGNED: (&str, &str) =
    ("服务端 API 签名或加密校验失败", "本服务不使用 API 签名；在微信后台关闭对应接口的签名要求，或检查代理");
const SIGNED_EN: (&str, &str) = (
    "the server API signature or encryption was not accepted",
    "this client does not sign; switch the demand off in WeChat's console, or check the proxy",
);

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        40201,
        Configuration,
        ("没有设置消息推送的 URL", "在微信后台的“消息推送”里填写 URL（服务器地址）"),
        ("no URL is set for message push", "fill in the URL under message push in WeChat's console"),
    ),
    entry(
        40202,
        Permanent,
        ("检测的 action 参数错误", "只能是 dns、ping 或 all"),
        ("the action of the check is wrong", "use dns, ping or all"),
    ),
    entry(
        40203,
        Permanent,
        ("检测的运营商参数错误", "只能是 CHINANET、UNICOM、CAP 或 DEFAULT"),
        ("the operator of the check is wrong", "use CHINANET, UNICOM, CAP or DEFAULT"),
    ),
    entry(40230, Configuration, SIGNED, SIGNED_EN),
    entry(40231, Configuration, SIGNED, SIGNED_EN),
    entry(40232, Configuration, SIGNED, SIGNED_EN),
    entry(40233, Configuration, SIGNED, SIGNED_EN),
    entry(40234, Configuration, SIGNED, SIGNED_EN),
    entry(40235, Configuration, SIGNED, SIGNED_EN),
    entry(40236, Configuration, SIGNED, SIGNED_EN),
    entry(40237, Configuration, SIGNED, SIGNED_EN),
    entry(40238, Configuration, SIGNED, SIGNED_EN),
    entry(40239, Configuration, SIGNED, SIGNED_EN),
    entry(40240, Configuration, SIGNED, SIGNED_EN),
    entry(
        48001,
        Configuration,
        ("没有调用这个接口的权限", "在微信后台确认小程序已开通订阅消息；第三方平台检查权限集"),
        (
            "no permission for this call",
            "see that subscribe messages are enabled; for a third-party platform check the permission sets",
        ),
    ),
    entry(
        48004,
        Configuration,
        ("接口已被封禁", "在微信后台查看通知并申诉"),
        ("the call is banned for this account", "read the notices in WeChat's console and appeal"),
    ),
    entry(
        48006,
        Quota,
        ("本月清零调用额度的次数已用完（每月 10 次）", "等到下月，或等次日额度恢复"),
        (
            "the monthly count of quota resets (10) is used up",
            "wait for the next month, or for the next day's quota",
        ),
    ),
    entry(
        48017,
        Configuration,
        ("请求到了已停用的微信 IP", "不要把微信接口固定到 IP，检查 DNS 和代理"),
        (
            "the call went to a retired IP address of WeChat",
            "do not pin WeChat to addresses; check DNS and the proxy",
        ),
    ),
    entry(
        50002,
        Configuration,
        ("账号受限，接口可能因违规被封禁", "在微信后台查看账号状态和通知"),
        (
            "the account is restricted, perhaps after a violation",
            "read the account's state and notices in WeChat's console",
        ),
    ),
    entry(
        61003,
        Configuration,
        ("小程序没有授权给第三方平台", "由小程序管理员重新授权"),
        (
            "the mini program has not authorised the third-party platform",
            "have its administrator authorise again",
        ),
    ),
    entry(
        61004,
        Configuration,
        ("IP 不在第三方平台的白名单中", "在开放平台登记这个 IP"),
        ("the IP address is not registered for the third-party platform", "register it on the open platform"),
    ),
    entry(
        61005,
        Configuration,
        ("component_verify_ticket 已过期", "检查第三方平台能否收到微信推送"),
        ("the component_verify_ticket has expired", "check that the platform receives WeChat's pushes"),
    ),
    entry(
        61006,
        Configuration,
        ("component_verify_ticket 无效", "检查第三方平台能否收到微信推送"),
        ("the component_verify_ticket is invalid", "check that the platform receives WeChat's pushes"),
    ),
    entry(
        61007,
        Configuration,
        ("接口不在授权的权限集中", "由小程序管理员授予订阅消息的权限集（18）"),
        (
            "the call is outside of the granted permission sets",
            "have the administrator grant the set for subscribe messages (18)",
        ),
    ),
    entry(
        61023,
        Configuration,
        ("authorizer_refresh_token 无效", "由小程序管理员重新授权给第三方平台"),
        ("the authorizer_refresh_token is invalid", "have the administrator authorise the platform again"),
    ),
    entry(
        76001,
        Permanent,
        ("rid 不存在", "只能查询 7 天以内的 rid"),
        ("the rid does not exist", "only those of the last 7 days can be asked for"),
    ),
    entry(
        76002,
        Permanent,
        ("rid 为空或格式错误", "核对 rid"),
        ("the rid is empty or malformed", "check the rid"),
    ),
    entry(
        76003,
        Permanent,
        ("rid 不属于这个账号", "用产生这个 rid 的小程序查询"),
        ("the rid belongs to another account", "ask with the mini program that got it"),
    ),
    entry(
        76004,
        Permanent,
        ("rid 已过期", "只能查询 7 天以内的 rid"),
        ("the rid has expired", "only those of the last 7 days can be asked for"),
    ),
    entry(
        76021,
        Permanent,
        ("查询额度的 cgi_path 不存在", "路径以 / 开头，不带域名"),
        ("the cgi_path of the quota call does not exist", "begin with a slash, without the host"),
    ),
    entry(
        76022,
        Permanent,
        ("没有查询该接口额度的权限", "这个接口不能查询额度"),
        ("no permission to ask for the quota of this call", "it cannot be asked for"),
    ),
];

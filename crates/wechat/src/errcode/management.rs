//! Codes of template management and login. Source: official pages of newtmpl ("选用模板", "删除模板" …) and "小程序登录".

use super::Class::*;
use super::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        404,
        Permanent,
        ("请求方法不对", "检查代理是否改动了请求方法"),
        ("wrong request method", "check whether a proxy altered the method"),
    ),
    entry(
        40400,
        Permanent,
        ("请求方法不对", "检查代理是否改动了请求方法"),
        ("wrong request method", "check whether a proxy altered the method"),
    ),
    entry(20001, Ambiguous, ("微信系统错误", "稍后再试"), ("an error inside WeChat", "try again later")),
    entry(
        20002,
        Permanent,
        ("参数错误", "检查参数，例如模板 ID"),
        ("a parameter is wrong", "check the parameters, as the template id"),
    ),
    entry(200_001, Ambiguous, ("微信系统错误", "稍后再试"), ("an error inside WeChat", "try again later")),
    entry(
        200_002,
        Permanent,
        ("参数错误", "检查参数，例如模板标题 ID"),
        ("a parameter is wrong", "check the parameters, as the title id"),
    ),
    entry(
        200_011,
        Configuration,
        ("账号的订阅消息能力已被封禁，无法选用模板", "在微信后台查看通知并申诉"),
        ("the account is banned from subscribe messages", "read the notices in WeChat's console and appeal"),
    ),
    entry(
        200_012,
        Permanent,
        ("“我的模板”数量已达上限（旧文档写 25 个）", "先删除不用的模板"),
        (
            "the number of own templates is at its limit (25 in an older document)",
            "delete unused templates first",
        ),
    ),
    entry(
        200_013,
        Permanent,
        ("这个模板已被封禁，无法选用", "选用别的模板"),
        ("this library template is banned", "choose another one"),
    ),
    entry(
        200_014,
        Permanent,
        ("模板标题 ID（tid）错误", "从公共模板库重新选择"),
        ("the title id (tid) is wrong", "choose anew from the public library"),
    ),
    entry(
        200_016,
        Permanent,
        ("start 参数错误", "从 0 开始翻页"),
        ("the parameter start is wrong", "page from 0"),
    ),
    entry(
        200_017,
        Permanent,
        ("limit 参数错误", "每页最多 30 个"),
        ("the parameter limit is wrong", "at most 30 a page"),
    ),
    entry(
        200_018,
        Permanent,
        ("缺少服务类目（ids）", "选择至少一个服务类目"),
        ("the categories (ids) are missing", "choose at least one category"),
    ),
    entry(
        200_019,
        Permanent,
        ("服务类目（ids）不合法", "只能用本小程序已有的服务类目"),
        ("the categories (ids) are invalid", "use categories of this mini program only"),
    ),
    entry(
        200_020,
        Permanent,
        ("关键词列表（kidList）错误", "选择 2 到 5 个关键词"),
        ("the keyword list (kidList) is wrong", "choose 2 to 5 keywords"),
    ),
    entry(
        200_021,
        Permanent,
        ("场景描述（sceneDesc）错误", "填写 15 个字以内的场景描述"),
        ("the scene description (sceneDesc) is wrong", "give one of up to 15 characters"),
    ),
    entry(
        200_022,
        Permanent,
        ("已有标题和关键词都相同的模板", "直接使用已有的模板"),
        ("a template with the same title and keywords exists", "use that one"),
    ),
    entry(
        200_100,
        Configuration,
        ("这类账号不能使用该接口", "确认 AppID 是小程序，且已设置服务类目"),
        (
            "this type of account cannot use the call",
            "see that the AppID is a mini program and has a category",
        ),
    ),
    entry(
        40029,
        Permanent,
        ("code 无效或已过期", "让小程序重新获取 code，每个只能用一次，5 分钟内有效"),
        (
            "the code is invalid or has expired",
            "have the mini program get a new one; it works once, for 5 minutes",
        ),
    ),
    entry(
        40163,
        Permanent,
        ("code 已被使用", "让小程序重新获取 code，每个只能用一次"),
        ("the code has been used", "have the mini program get a new one; each works once"),
    ),
    entry(
        40226,
        Permanent,
        ("高风险用户，微信拦截了登录", "无法处理，由用户自行联系微信"),
        ("WeChat blocks the login of a high-risk user", "nothing can be done here; the user may ask WeChat"),
    ),
    entry(
        87007,
        Permanent,
        ("session_key 不存在或已过期", "让用户重新登录"),
        ("the session_key does not exist or has expired", "have the user log in again"),
    ),
    entry(
        87008,
        Permanent,
        ("sig_method 错误", "这是程序的问题"),
        ("the sig_method is wrong", "a fault of the program"),
    ),
    entry(
        87009,
        Permanent,
        ("签名错误，session_key 可能已更新", "让用户重新登录"),
        ("the signature is wrong, the session_key may have changed", "have the user log in again"),
    ),
];

//! The words that pages use for states, verdicts, roles and deeds: Chinese by the project's glossary, English beside it.

use service::Lang;
use service::operators::Role;

fn pick(lang: Lang, zh: &'static str, en: &'static str) -> &'static str {
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// The state of a message.
pub(crate) fn message_state(state: &str, lang: Lang) -> &'static str {
    let (zh, en) = match state {
        "todo" => ("待生成", "to do"),
        "scheduled" => ("待发送", "scheduled"),
        "queued" => ("排队中", "queued"),
        "sending" => ("发送中", "sending"),
        "accepted" => ("微信已受理", "accepted"),
        "delivered" => ("已送达", "delivered"),
        "undelivered" => ("未送达", "undelivered"),
        "refused" => ("无可用次数", "no grant"),
        "failed" => ("发送失败", "failed"),
        "unknown" => ("待确认", "unknown"),
        "expired" => ("已过期未发", "expired"),
        "cancelled" => ("已取消", "cancelled"),
        "skipped" => ("未发送", "skipped"),
        _ => ("其他", "other"),
    };
    pick(lang, zh, en)
}

/// The state of a campaign.
pub(crate) fn campaign_state(state: &str, lang: Lang) -> &'static str {
    let (zh, en) = match state {
        "draft" => ("草稿", "draft"),
        "awaiting_approval" => ("待审批", "awaiting approval"),
        "scheduled" => ("定时中", "scheduled"),
        "running" => ("发送中", "running"),
        "paused" => ("已暂停", "paused"),
        "cancelling" => ("取消中", "being cancelled"),
        "cancelled" => ("已取消", "cancelled"),
        "finished" => ("已完成", "finished"),
        _ => ("其他", "other"),
    };
    pick(lang, zh, en)
}

/// The colour of a state, a verdict or a severity: names of the style sheet.
pub(crate) fn colour(state: &str) -> &'static str {
    match state {
        "sending" | "running" => "blue",
        "accepted" => "lime",
        "delivered" | "finished" | "applied" | "ok" | "accept" => "green",
        "undelivered" | "awaiting_approval" | "quarantined" | "warning" | "attention" => "orange",
        "failed" | "alarm" | "problem" => "red",
        "unknown" | "paused" => "yellow",
        _ => "secondary",
    }
}

/// A role.
pub(crate) fn role(role: Role, lang: Lang) -> &'static str {
    match role {
        Role::Admin => pick(lang, "管理员", "admin"),
        Role::Sender => pick(lang, "发送员", "sender"),
        Role::Editor => pick(lang, "编辑员", "editor"),
        Role::Viewer => pick(lang, "只读成员", "viewer"),
    }
}

/// What a role may do.
pub(crate) fn role_may(role: Role, lang: Lang) -> &'static str {
    match role {
        Role::Admin => {
            pick(lang, "全部，包括小程序、成员和密钥", "everything, with apps, operators and keys")
        }
        Role::Sender => pick(lang, "编辑，并且可以发送、审批、暂停", "edits, and sends, approves, pauses"),
        Role::Editor => {
            pick(lang, "写草稿、上传表格、看预估；不能发送", "drafts, sheets, forecasts; sends nothing")
        }
        Role::Viewer => pick(lang, "只看，openid 脱敏", "only looks, openids masked"),
    }
}

/// What was done, after it was done.
pub(crate) fn done(what: &str, lang: Lang) -> Option<&'static str> {
    let (zh, en) = match what {
        "saved" => ("已保存。", "Saved."),
        "started" => ("已开始发送。", "Started."),
        "asked" => ("已提交审批。", "Handed in for approval."),
        "paused" => ("已暂停，2 秒内不再有新的发送。", "Paused: no call starts after two seconds."),
        "resumed" => ("已继续。", "It goes on."),
        "cancelled" => ("已取消，未发出的不再发送。", "Cancelled: what waits is not sent."),
        "approved" => ("已通过。", "Approved."),
        "withdrawn" => ("已退回草稿。", "Back to a draft."),
        "removed" => ("已删除。", "Removed."),
        "copied" => ("已复制为新的草稿。", "Copied to a new draft."),
        "sent" => ("已提交发送。", "Handed in."),
        "resent" => ("已重新排队。", "Queued again."),
        "synced" => ("已同步。", "Synced."),
        "replayed" => ("已重新处理。", "Replayed."),
        "erasing" => ("删除已开始，几分钟内完成。", "Erasing has begun; it takes some minutes."),
        "imported" => ("已导入。", "Imported."),
        "revoked" => ("已吊销。", "Revoked."),
        _ => return None,
    };
    Some(pick(lang, zh, en))
}

/// 2,907.
pub(crate) fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `2026-11-23T20:00:00.000+08:00` as `2026-11-23 20:00:00`.
pub(crate) fn moment(text: &str) -> String {
    text.get(..19).map_or_else(|| text.to_owned(), |text| text.replace('T', " "))
}

/// Why a message was not tried.
pub(crate) fn reason(reason: &str, lang: Lang) -> Option<&'static str> {
    let (zh, en) = match reason {
        "duplicate" => ("重复", "duplicate"),
        "no_record" => ("无订阅记录", "no record"),
        "not_a_guest" => ("不在试发名单", "not a guest"),
        "invalid" => ("内容有误", "invalid"),
        "unknown_recipient" => ("找不到这个人", "nobody has this key"),
        "spent" | "no_grant" => ("次数已用完", "no grant left"),
        "refused" => ("已拒收", "refused"),
        "reserved" => ("次数被其他消息占用", "reserved by another message"),
        "cancelled" => ("任务已取消", "cancelled"),
        _ => return None,
    };
    Some(pick(lang, zh, en))
}

/// A kind of ledger entry.
pub(crate) fn entry(kind: &str, lang: Lang) -> &'static str {
    let (zh, en) = match kind {
        "grant" => ("订阅", "grant"),
        "report" => ("前端上报", "report"),
        "import" => ("导入", "import"),
        "adjust" => ("手动调整", "adjusted"),
        "spend" => ("发送扣减", "spent"),
        "found" => ("补记", "found"),
        "zeroed" => ("归零", "zeroed"),
        _ => ("其他", "other"),
    };
    pick(lang, zh, en)
}

/// A verdict on a callback.
pub(crate) fn verdict(verdict: Option<&str>, lang: Lang) -> &'static str {
    let (zh, en) = match verdict {
        Some("applied") => ("已生效", "applied"),
        Some("duplicate") => ("重复推送", "duplicate"),
        Some("ignored") => ("未使用", "ignored"),
        Some("quarantined") => ("已搁置", "set aside"),
        _ => ("处理中", "waiting"),
    };
    pick(lang, zh, en)
}

/// What a callback is about.
pub(crate) fn callback(kind: &str, lang: Lang) -> &'static str {
    let (zh, en) = match kind {
        "popup" => ("弹窗事件", "popup"),
        "change" => ("设置变更", "setting"),
        "sent" => ("送达回执", "receipt"),
        "erasure" => ("删除要求", "erasure"),
        "chat" => ("客服消息", "chat"),
        "unreadable" => ("无法读取", "unreadable"),
        _ => ("其他事件", "event"),
    };
    pick(lang, zh, en)
}

/// How a webhook is told.
pub(crate) fn webhook_form(form: &service::webhooks::Form, lang: Lang) -> &'static str {
    use service::webhooks::Form;
    let (zh, en) = match form {
        Form::Standard => ("自己的系统", "own system"),
        Form::Wecom => ("企业微信群机器人", "WeCom robot"),
        Form::Dingtalk => ("钉钉群机器人", "DingTalk robot"),
        Form::Feishu => ("飞书群机器人", "Feishu robot"),
    };
    pick(lang, zh, en)
}

/// Where a delivery stands.
pub(crate) fn delivery(state: &store::webhooks::DeliveryState, lang: Lang) -> &'static str {
    use store::webhooks::DeliveryState;
    let (zh, en) = match state {
        DeliveryState::Waiting => ("等待", "waiting"),
        DeliveryState::Delivered => ("已送到", "delivered"),
        DeliveryState::GivenUp => ("已放弃", "given up"),
    };
    pick(lang, zh, en)
}

/// A deed of the operation log: the call of the interface that does it.
pub(crate) fn deed(act: &str, lang: Lang) -> &'static str {
    let (zh, en) = match act {
        "POST setup" => ("创建管理员", "claimed the installation"),
        "POST login" => ("登录", "signed in"),
        "POST start/try" => ("启动模拟器", "started the simulator"),
        "PUT apps" => ("登记小程序", "registered an app"),
        "PATCH apps" => ("修改小程序设置", "changed an app"),
        "POST messages" => ("发送消息", "sent a message"),
        "POST messages/cancel" => ("取消消息", "cancelled a message"),
        "POST messages/resend" => ("重发消息", "sent a message again"),
        "POST campaigns" => ("新建任务", "drafted a campaign"),
        "PATCH campaigns" => ("修改任务", "changed a draft"),
        "DELETE campaigns" | "POST campaigns/remove" => ("删除草稿", "removed a draft"),
        "POST campaigns/start" => ("开始任务", "started a campaign"),
        "POST campaigns/approve" => ("审批通过", "approved a campaign"),
        "POST campaigns/withdraw" => ("驳回任务", "sent a campaign back"),
        "POST campaigns/pause" => ("暂停任务", "paused a campaign"),
        "POST campaigns/resume" => ("继续任务", "resumed a campaign"),
        "POST campaigns/cancel" => ("取消任务", "cancelled a campaign"),
        "POST campaigns/resend-failed" => ("重发失败的", "resent what failed"),
        "POST campaigns/copy" => ("复制任务", "copied a campaign"),
        "POST campaigns/test" => ("试发", "sent a test"),
        "GET campaigns/results" => ("下载名单", "downloaded a list"),
        "POST uploads" => ("上传表格", "uploaded a sheet"),
        "PATCH uploads" => ("修改表格设置", "changed an upload"),
        "DELETE uploads" => ("删除表格", "removed an upload"),
        "PUT subscribers" => ("修改用户资料", "changed a person"),
        "POST subscribers/import" => ("导入用户资料", "imported people"),
        "GET subscribers/export" => ("导出本人数据", "exported a person"),
        "DELETE subscribers" => ("删除用户数据", "erased a person"),
        "POST ledger" => ("调整次数", "adjusted grants"),
        "POST templates/sync" => ("同步模板", "synced templates"),
        "POST templates" => ("选用模板", "added a template"),
        "DELETE templates" => ("删除模板", "deleted a template"),
        "POST callbacks/replay" => ("重新处理推送", "replayed a callback"),
        "PUT guests" => ("加入试发名单", "added a guest"),
        "DELETE guests" => ("移出试发名单", "removed a guest"),
        "POST operators" => ("添加成员", "added an operator"),
        "PATCH operators" => ("修改成员", "changed an operator"),
        "DELETE operators" => ("删除成员", "removed an operator"),
        "POST keys" => ("生成接口密钥", "made a key"),
        "DELETE keys" => ("吊销接口密钥", "revoked a key"),
        "POST webhooks" => ("添加事件通知", "added a webhook"),
        "PATCH webhooks" => ("修改事件通知", "changed a webhook"),
        "DELETE webhooks" => ("删除事件通知", "removed a webhook"),
        _ => ("其他操作", "other"),
    };
    pick(lang, zh, en)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        for (n, text) in [(0, "0"), (999, "999"), (2907, "2,907"), (-1_234_567, "-1,234,567")] {
            assert_eq!(number(n), text);
        }
    }

    #[test]
    fn every_state_has_words() {
        for state in domain::message::State::ALL {
            assert_ne!(message_state(state.as_str(), Lang::En), "other", "{state}");
            assert!(message_state(state.as_str(), Lang::Zh).chars().count() <= 5, "{state}");
        }
        for state in domain::campaign::CampaignState::ALL {
            assert_ne!(campaign_state(state.as_str(), Lang::En), "other", "{state}");
        }
    }
}

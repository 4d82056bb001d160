//! Who works: nodes, lanes, how far they are behind; and the endpoints that are told of events.

use domain::Millis;
use domain::clock::{HOUR, MINUTE, SECOND};

use super::{Checks, text};
use crate::Service;

/// An inbox that waits longer than this is noticed, and then is wrong.
const SLOW: Millis = 10 * SECOND;
const STUCK: Millis = 5 * MINUTE;
/// A message that is due and may be sent, and waits longer.
const LATE: Millis = 10 * MINUTE;
/// Deliveries that are this old, or this many.
const OLD_EVENT: Millis = HOUR;
const MANY_EVENTS: i64 = 10_000;

const LANES: (&str, &str) = ("分片与节点", "Lanes and nodes");
const INBOX: (&str, &str) = ("推送的处理", "Applying of callbacks");
const QUEUE: (&str, &str) = ("到期消息", "Messages that are due");
const WEBHOOKS: (&str, &str) = ("事件通知（Webhook）", "Webhooks");

impl Service {
    pub(super) async fn check_lanes(&self, checks: &mut Checks) {
        let Ok(cluster) = self.cluster().await else {
            return checks.unanswered("lanes", LANES);
        };
        let (all, free) = (cluster.lanes.len(), cluster.free_lanes);
        let alive = cluster.nodes.iter().filter(|node| node.state == "alive").count();
        let gone = cluster.nodes.iter().filter(|node| node.state == "gone").count();
        if !self.store.is_served() || alive == 0 {
            checks.fail(
                "lanes",
                LANES,
                text(
                    "没有运行中的服务：收不到推送，也不发送。",
                    "No service runs: nothing is received or sent.",
                ),
                text("启动 hongyan serve。", "Start `hongyan serve`."),
            );
        } else if free > 0 {
            checks.fail(
                "lanes",
                LANES,
                (
                    format!("{all} 个分片中有 {free} 个无主（存活节点 {alive}，失联 {gone}）：这些人的消息不发送、推送不生效。"),
                    format!("{free} of {all} lanes are nobody's ({alive} nodes alive, {gone} gone): nothing is sent to these people, and their callbacks have no effect."),
                ),
                text(
                    "失联节点的分片几秒内会由别人接手；若持续，检查是否有 all 或 worker 角色的节点在运行。",
                    "Others take over within seconds; where it lasts, see whether a node of the role all or worker runs.",
                ),
            );
        } else {
            checks.ok(
                "lanes",
                LANES,
                (
                    format!("{all} 个分片都有主，存活节点 {alive} 个。"),
                    format!("All {all} lanes are held; {alive} nodes are alive."),
                ),
            );
        }
        let lag = cluster.inbox_lag_ms;
        let seconds = lag / SECOND;
        let detail = (
            format!("最早一条未处理的推送等了 {seconds} 秒。"),
            format!("The oldest callback that is not applied has waited for {seconds} seconds."),
        );
        let remedy = text(
            "查看服务日志里的数据库错误与磁盘；推送已收下，不会丢。",
            "Look at the service's log for errors of the database, and at the disk; they are kept and not lost.",
        );
        if lag > STUCK {
            checks.fail("inbox", INBOX, detail, remedy);
        } else if lag > SLOW {
            checks.warn("inbox", INBOX, detail, remedy);
        } else {
            checks.ok("inbox", INBOX, detail);
        }
        self.check_queue(checks).await;
    }

    /// How long the first message has waited that could leave: paused campaigns, closed gates and windows are not counted.
    async fn check_queue(&self, checks: &mut Checks) {
        let lanes: Vec<domain::Lane> = self.store.lanes().iter().collect();
        let Ok(waits) = self.oldest_due(&lanes).await else {
            return checks.unanswered("queue", QUEUE);
        };
        let wait = waits.map_or(0, |since| (self.now() - since).max(0));
        let minutes = wait / MINUTE;
        let detail = (
            format!("最早一条可以发送的消息等了 {minutes} 分钟。"),
            format!("The oldest message that may be sent has waited for {minutes} minutes."),
        );
        if wait > LATE {
            checks.warn(
                "queue",
                QUEUE,
                detail,
                text(
                    "大任务排队是正常的（看它的速度）；若没有任务在发，检查速率设置、并发与微信的响应时间。",
                    "A large campaign takes its time (see its rate); where none is sent, look at rate_per_second, concurrency and WeChat's answering times.",
                ),
            );
        } else {
            checks.ok("queue", QUEUE, detail);
        }
    }

    pub(super) async fn check_webhooks(&self, checks: &mut Checks) {
        let (Ok(webhooks), Ok(backlog)) = (self.store.webhooks().await, self.store.delivery_backlog().await)
        else {
            return checks.unanswered("webhooks", WEBHOOKS);
        };
        if webhooks.is_empty() {
            return checks.skip("webhooks", WEBHOOKS, text("没有设置。", "There are none."));
        }
        let disabled = webhooks.iter().filter(|one| !one.enabled && one.disabled_because.is_some()).count();
        let failing: Vec<&str> = webhooks
            .iter()
            .filter(|one| one.enabled && one.failing_since.is_some())
            .map(|one| one.url.as_str())
            .collect();
        let waiting: i64 = backlog.iter().map(|one| one.count).sum();
        let oldest = backlog.iter().filter_map(|one| one.since).min();
        let old = oldest.is_some_and(|since| self.now() - since > OLD_EVENT);
        let failing = failing.join(", ");
        if disabled == 0 && failing.is_empty() && !old && waiting < MANY_EVENTS {
            return checks.ok(
                "webhooks",
                WEBHOOKS,
                (
                    format!("{} 个，{waiting} 条待投递。", webhooks.len()),
                    format!("{}; {waiting} deliveries wait.", webhooks.len()),
                ),
            );
        }
        checks.warn(
            "webhooks",
            WEBHOOKS,
            (
                format!("已自动停用 {disabled} 个；投递失败：{failing}；{waiting} 条待投递。"),
                format!("{disabled} were disabled; failing: {failing}; {waiting} deliveries wait."),
            ),
            text(
                "修好接收端后：hongyan webhook enable，再用 hongyan webhook replay 补发。",
                "Mend the receiver, then `hongyan webhook enable`, and `hongyan webhook replay` for what was missed.",
            ),
        );
    }
}

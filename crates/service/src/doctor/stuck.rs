//! What of an app ought to move and does not: attempts without an end, campaigns that run and send nothing, callbacks that wait to
//! be passed on or were set aside.

use std::time::Duration;

use domain::Millis;
use domain::campaign::CampaignState;
use domain::clock::{DAY, HOUR, MINUTE};

use super::{Checks, text};
use crate::{App, Service};

/// A call ends within seconds; what is `sending` for longer has lost its owner, and nobody took it over.
const SENDING: Millis = 2 * MINUTE;
/// A campaign that has run for so long is watched for [`WATCH`].
const RUNNING: Millis = 5 * MINUTE;
const WATCH: Duration = Duration::from_secs(3);
/// Callbacks that wait to be passed on.
const BACKLOG: i64 = 1_000;

const ATTEMPTS: (&str, &str) = ("发送中的消息", "Messages being sent");
const CAMPAIGNS: (&str, &str) = ("进行中的任务", "Campaigns under way");
const RELAY: (&str, &str) = ("转发到旧服务器", "Relay");
const QUARANTINE: (&str, &str) = ("被搁置的推送", "Quarantine");

impl Service {
    pub(super) async fn check_movement(&self, app: &App, checks: &mut Checks) {
        self.check_attempts(app, checks).await;
        self.check_campaigns(app, checks).await;
        self.check_relay(app, checks).await;
        self.check_quarantine(app, checks).await;
    }

    async fn check_attempts(&self, app: &App, checks: &mut Checks) {
        match self.store.overdue_attempts(app.number, self.now() - SENDING).await {
            Ok(overdue) if overdue.count == 0 => {
                checks.ok("attempts", ATTEMPTS, text("没有卡住的。", "None is stuck."));
            }
            Ok(overdue) => {
                let (count, since) =
                    (overdue.count, overdue.since.map(crate::view::time).unwrap_or_default());
                checks.fail(
                    "attempts",
                    ATTEMPTS,
                    (
                        format!("{count} 条停在“发送中”超过 2 分钟（最早 {since}），是否发出不得而知。"),
                        format!("{count} are `sending` for more than 2 minutes (since {since}); whether they left is not known."),
                    ),
                    text(
                        "它们的分片无人接手：启动（或重启）服务，启动时会把它们转为“结果未知”，不会重发。",
                        "Nobody holds their lanes: start the service (anew). It makes them `unknown`, and does not send them again.",
                    ),
                );
            }
            Err(_) => checks.unanswered("attempts", ATTEMPTS),
        }
    }

    async fn check_campaigns(&self, app: &App, checks: &mut Checks) {
        let (Ok(()), Ok(gate)) = (self.reload_campaigns().await, self.store.gate(app.number).await) else {
            return checks.unanswered("campaigns", CAMPAIGNS);
        };
        let now = self.now();
        let under_way = self.campaigns.under_way();
        let running = under_way.iter().filter(|live| {
            let stored = &live.stored;
            stored.asked.app == app.number
                && stored.state == CampaignState::Running
                && live.may_send(now)
                && now - stored.updated_at > RUNNING
        });
        let mut before = Vec::new();
        for live in running {
            let Ok(progress) = self.store.campaign_progress(live.stored.number).await else {
                return checks.unanswered("campaigns", CAMPAIGNS);
            };
            if progress.accounts.open() > 0 {
                before.push((live, progress.accounts));
            }
        }
        let mut still = Vec::new();
        // A closed gate is told by its own check.
        if gate.is_none() && !before.is_empty() {
            tokio::time::sleep(WATCH).await;
            for (live, accounts) in &before {
                let later = self.store.campaign_progress(live.stored.number).await;
                if later.is_ok_and(|later| later.accounts == *accounts) {
                    still.push(live.stored.asked.name.as_str());
                }
            }
        }
        if still.is_empty() {
            let count = before.len();
            return checks.ok(
                "campaigns",
                CAMPAIGNS,
                (
                    format!("没有卡住的（{count} 个在发送）。"),
                    format!("None is stuck ({count} are being sent)."),
                ),
            );
        }
        let names = still.join(", ");
        checks.warn(
            "campaigns",
            CAMPAIGNS,
            (
                format!("进行中但几秒内没有任何进展：{names}。"),
                format!("Running, and nothing moved for some seconds: {names}."),
            ),
            text(
                "可能都在等待重试，或被更急的消息挡住；若持续，看 hongyan cluster status 与服务日志。",
                "They may all wait to be tried again, or others go first; where it lasts, look at `hongyan cluster status` and the log.",
            ),
        );
    }

    async fn check_relay(&self, app: &App, checks: &mut Checks) {
        if app.settings.relay_url.is_none() {
            return;
        }
        match self.store.relay_backlog().await {
            Ok(backlog) => {
                let count = backlog.iter().find(|(of, _)| *of == app.number).map_or(0, |(_, count)| *count);
                let detail =
                    (format!("{count} 条待转发。"), format!("{count} callbacks wait to be passed on."));
                if count < BACKLOG {
                    checks.ok("relay", RELAY, detail);
                } else {
                    checks.warn(
                        "relay",
                        RELAY,
                        detail,
                        text(
                            "旧服务器没有应答或太慢：推送记录里有每条的原因；一天后放弃转发。",
                            "The other server is away or slow: the inbox has the reason of each. They are given up after a day.",
                        ),
                    );
                }
            }
            Err(_) => checks.unanswered("relay", RELAY),
        }
    }

    async fn check_quarantine(&self, app: &App, checks: &mut Checks) {
        let day = self.statistics(app, self.now() - DAY, self.now() + HOUR, crate::statistics::By::Day).await;
        match (self.store.quarantined(app.number).await, day) {
            (Ok(0), _) => checks.ok("quarantine", QUARANTINE, text("没有。", "There are none.")),
            (Ok(count), Ok(day)) => {
                let new: i64 = day.iter().map(|stretch| stretch.totals.quarantined).sum();
                let detail = (
                    format!("共 {count} 条，最近一天 {new} 条。"),
                    format!("{count} are set aside, {new} of them within a day."),
                );
                if new == 0 {
                    checks.ok("quarantine", QUARANTINE, detail);
                } else {
                    checks.warn(
                        "quarantine",
                        QUARANTINE,
                        detail,
                        text(
                            "在“推送接收记录”里看原因，修好后重新处理。",
                            "See why in the inbox, mend it, and replay them.",
                        ),
                    );
                }
            }
            _ => checks.unanswered("quarantine", QUARANTINE),
        }
    }
}

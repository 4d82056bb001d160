//! The progress of a campaign: a bar on a terminal, a line a second elsewhere.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use service::campaigns::{CampaignView, CountsView};
use service::{App, Service};
use uuid::Uuid;

use crate::cli::Global;
use crate::locale::{lang, say};
use crate::output;

const LOOK: Duration = Duration::from_millis(250);
const WIDTH: i64 = 30;

/// Every place that holds somebody.
pub(super) fn counts(counts: &CountsView) -> String {
    let all = [
        ("recipients", counts.recipients),
        ("todo", counts.todo),
        ("scheduled", counts.scheduled),
        ("queued", counts.queued),
        ("sending", counts.sending),
        ("accepted", counts.accepted),
        ("delivered", counts.delivered),
        ("undelivered", counts.undelivered),
        ("refused", counts.refused),
        ("failed", counts.failed),
        ("unknown", counts.unknown),
        ("expired", counts.expired),
        ("cancelled", counts.cancelled),
        ("skipped", counts.skipped),
    ];
    let shown = all.iter().filter(|(name, count)| *count != 0 || *name == "recipients");
    shown.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

fn open(counts: &CountsView) -> i64 {
    counts.todo + counts.scheduled + counts.queued + counts.sending
}

/// Shows a campaign until it ends; exit code 1 where it did not end by itself.
pub(super) async fn watch(
    global: &Global,
    service: &Service,
    app: &App,
    id: Uuid,
) -> anyhow::Result<ExitCode> {
    let bar = std::io::stderr().is_terminal() && !global.json;
    let mut shown = String::new();
    let mut before: Option<(tokio::time::Instant, i64)> = None;
    loop {
        let view = service.campaign(app, id).await?.explained(lang());
        let over = view.counts.recipients - open(&view.counts);
        let now = tokio::time::Instant::now();
        // The server measures the rate; this process sees only the counts.
        let rate = before.map_or(0.0, |(at, count)| {
            #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
            let rate = (over - count) as f64 / now.duration_since(at).as_secs_f64().max(0.001);
            rate
        });
        before = Some((now, over));
        let line = line(&view, over, rate);
        if bar {
            let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
            let _ = std::io::stderr().flush();
        } else if line != shown && !global.json {
            output::remark(&line);
            shown = line;
        }
        if matches!(view.state, "finished" | "cancelled" | "draft" | "awaiting_approval") {
            if bar {
                output::remark("");
            }
            super::show(global, &view)?;
            return Ok(if view.state == "finished" { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        tokio::time::sleep(if bar { LOOK } else { LOOK * 4 }).await;
    }
}

fn line(view: &CampaignView, over: i64, rate: f64) -> String {
    let all = view.counts.recipients.max(1);
    let full = usize::try_from(over * WIDTH / all).unwrap_or(0);
    let empty = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(full);
    let sent = view.counts.accepted + view.counts.delivered;
    format!(
        "[{}{}] {over}/{} {} {sent} {rate:.0}/s {}{}",
        "#".repeat(full),
        ".".repeat(empty),
        view.counts.recipients,
        say("已发", "sent"),
        view.state,
        view.paused_because.as_deref().map(|because| format!(": {because}")).unwrap_or_default(),
    )
}

//! After a restore: what stands still until somebody looked, and letting it go on. Used by `hongyan restore` and `hongyan release`,
//! and by whatever shows why an app sends nothing.

use serde::Serialize;
use store::gates::Gate;
use store::restored::RESTORED;
use wechat::{Lang, errcode};

use crate::problem::Problem;
use crate::view::time;
use crate::{App, Service};

/// An app that sends nothing since its database was restored.
#[derive(Debug, Clone, Serialize)]
pub struct HeldBack {
    /// The app.
    pub app_id: String,
    /// Its name.
    pub name: String,
    /// From when the data is.
    pub backup_at: String,
    /// When it was restored.
    pub restored_at: String,
    /// Messages that may have been sent between the two, or are unknown for another reason: only a person sends them again.
    pub unknown: i64,
    /// Campaigns that were under way: each is resumed or cancelled by a person.
    pub paused: Vec<String>,
}

impl Service {
    /// The apps that send nothing since a restore, with what to look at before they go on.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn held_back(&self) -> Result<Vec<HeldBack>, Problem> {
        let mut all = Vec::new();
        for gate in self.store.gates().await? {
            let Some(app) = self.apps.by_number(gate.app).filter(|_| gate.reason == RESTORED) else {
                continue;
            };
            let campaigns = self.store.campaigns_under_way().await?;
            let paused = campaigns.into_iter().filter(|campaign| {
                campaign.asked.app == app.number && campaign.paused_because.as_deref() == Some(RESTORED)
            });
            all.push(HeldBack {
                app_id: app.app_id.clone(),
                name: app.name.clone(),
                backup_at: gate.detail.parse().map_or_else(|_| String::new(), time),
                restored_at: time(gate.closed_at),
                unknown: self.store.unknown_count(app.number).await?,
                paused: paused.map(|campaign| campaign.asked.name).collect(),
            });
        }
        Ok(all)
    }

    /// Lets an app send again; false where it was not held back by a restore.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn release(&self, app: &App, by: &str) -> Result<bool, Problem> {
        let held = self.store.gate(app.number).await?.is_some_and(|gate| gate.reason == RESTORED);
        if held {
            self.store.open_gate(app.number).await?;
            self.note(by, Some(app), "release", None).await;
        }
        Ok(held)
    }
}

/// Why a gate is closed.
pub(crate) fn gate_text(gate: &Gate, lang: Lang) -> String {
    if gate.reason == RESTORED {
        let from = gate.detail.parse().map_or_else(|_| String::new(), time);
        return match lang {
            Lang::Zh => format!(
                "数据库由 {from} 的备份恢复，之后可能已发出的消息不会自动重发；核对后执行 hongyan release 恢复发送。"
            ),
            Lang::En => format!(
                "the database was restored from {from}; nothing that may have been sent since is sent again by itself. Check, then \
                 `hongyan release`."
            ),
        };
    }
    match gate.errcode {
        0 => gate.detail.clone(),
        code => errcode::explain(code, &gate.detail, lang),
    }
}

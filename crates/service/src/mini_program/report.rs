//! What the mini program reports of a person's decision. It goes into the inbox like an event, under the name of the act, so that
//! it counts once however often it is told; the ledger pairs it with WeChat's own event of the same act (I8).

use std::collections::BTreeMap;

use domain::clock::{DAY, SECOND};
use domain::{InboxId, Millis};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::hot::append::{Appended, InboxKind, NewInboxRow, Verdict};

use super::limits::Counted;
use super::session::Visitor;
use crate::fresh::{Fresh, Said};
use crate::problem::{FieldError, Problem};
use crate::settings::Reports;
use crate::{App, Service};

/// Templates of one report, and the length of a name and of a word.
const MOST: usize = 20;
const LONGEST_NAME: usize = 64;
const LONGEST_WORD: usize = 32;
/// How late a report may come (the kit tries again after a restart).
const LATEST: i64 = 7 * DAY;

/// A report as it comes.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DecisionReport)]
pub struct Report {
    /// Names the act: told twice, it counts once.
    pub act_id: String,
    /// What `requestSubscribeMessage` answered: accept, reject, ban, filter, by template.
    pub results: BTreeMap<String, String>,
    /// How many seconds ago it was, where it is told late.
    #[serde(default)]
    pub age_seconds: u32,
}

/// A report as it stands in the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Names the act.
    pub act_id: String,
    /// When the person decided, as far as the report tells; ms.
    pub at: Millis,
    /// What WeChat answered the mini program, by template.
    pub results: BTreeMap<String, String>,
}

impl Reported {
    /// The accepted and the rejected templates; other words decide nothing.
    pub fn decisions(&self) -> impl Iterator<Item = (&str, bool)> {
        self.results.iter().filter_map(|(template, word)| match word.as_str() {
            word if word.starts_with("accept") => Some((template.as_str(), true)),
            "reject" => Some((template.as_str(), false)),
            _ => None,
        })
    }
}

impl Service {
    /// Keeps a report; returns when it is durable.
    ///
    /// # Errors
    /// A wrong field, `unknown_template`, `too_many_calls`; `store_unavailable`: tell it again.
    pub async fn report(
        &self,
        app: &App,
        visitor: &Visitor,
        report: Report,
        from: &str,
    ) -> Result<(), Problem> {
        let now = self.now();
        self.limits.count(Counted::CallOfAddress, app.number, from, now)?;
        self.limits.count(Counted::ReportOfUser, app.number, &visitor.openid, now)?;
        let errors = self.wrong(app, &report).await?;
        if !errors.is_empty() {
            return Err(Problem::fields(errors));
        }
        let age = (i64::from(report.age_seconds) * SECOND).min(LATEST);
        let reported = Reported { act_id: report.act_id, at: now - age, results: report.results };
        let lane = self.store.lanes().of_openid(&visitor.openid);
        let aside = match app.settings.reports {
            Reports::Ignore => Some("reports_are_ignored"),
            Reports::Count if reported.decisions().next().is_none() => Some("nothing_to_do"),
            Reports::Count => None,
        };
        let row = NewInboxRow {
            id: InboxId::new(now, lane, &*self.entropy),
            app: app.number,
            // The act's name alone tells it: the time is only the phone's word.
            event_at: 0,
            digest: identity(app, &visitor.openid, &reported.act_id),
            received_at: now,
            kind: InboxKind::Report,
            openid: visitor.openid.clone(),
            body: serde_json::to_string(&reported).unwrap_or_default(),
            verdict: aside.map(|_| Verdict::Ignored),
            reason: aside.map(str::to_owned),
            relay: None,
        };
        let id = row.id;
        let new = self.store.append(vec![row]).await? == [Appended::New];
        metrics::counter!("hongyan_reports_total").increment(1);
        if new && aside.is_none() {
            let said = Said::Reported { openid: visitor.openid.clone(), reported };
            self.fresh.hand_over(Fresh { id, app: app.number, received_at: now, said });
        }
        Ok(())
    }

    async fn wrong(&self, app: &App, report: &Report) -> Result<Vec<FieldError>, Problem> {
        let mut errors = Vec::new();
        let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=LONGEST_NAME).contains(&report.act_id.len()) || !report.act_id.bytes().all(named) {
            errors.push(FieldError::new(
                "/act_id",
                "invalid_act_id",
                format!("act_id 由 1 到 {LONGEST_NAME} 个字母、数字或 - _ . 组成，每次授权各不相同。"),
                format!("act_id has 1 to {LONGEST_NAME} letters, digits or - _ ., another for each act."),
            ));
        }
        if !(1..=MOST).contains(&report.results.len()) {
            errors.push(FieldError::new(
                "/results",
                "invalid_results",
                format!("results 应有 1 到 {MOST} 个模板的结果。"),
                format!("results holds the results of 1 to {MOST} templates."),
            ));
            return Ok(errors);
        }
        let templates = self.templates(app).await?;
        for (id, word) in &report.results {
            let pointer = format!("/results/{}", id.replace('~', "~0").replace('/', "~1"));
            if !templates.iter().any(|template| template.id == *id && template.synced_at.is_some()) {
                errors.push(FieldError::new(
                    pointer,
                    "unknown_template",
                    "没有这个模板。",
                    "There is no such template.",
                ));
            } else if word.is_empty() || word.len() > LONGEST_WORD {
                errors.push(FieldError::new(
                    pointer,
                    "invalid_result",
                    "结果应为 accept、reject、ban 或 filter。",
                    "A result is accept, reject, ban or filter.",
                ));
            }
        }
        Ok(errors)
    }
}

/// One person's act of this name, at this app: nobody can take another's name from them.
fn identity(app: &App, openid: &str, act_id: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update("report\0")
        .chain_update(&app.app_id)
        .chain_update([0])
        .chain_update(openid)
        .chain_update([0])
        .chain_update(act_id)
        .finalize()
        .into();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

//! Which templates to ask a person for now.

use std::collections::HashMap;

use domain::asking::{self, Candidate, Standing, Verdict, Why};
use domain::clock::{DAY, HOUR};
use serde::Serialize;

use super::limits::Counted;
use super::session::Visitor;
use crate::problem::Problem;
use crate::settings::Reports;
use crate::templates::TemplateView;
use crate::view::time;
use crate::{App, Service};

/// Where WeChat's own events came within this time, reports are not needed.
const LATELY: i64 = 7 * DAY;

/// What to ask for.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Ask {
    /// For `requestSubscribeMessage` as it is: five at most, of one type, of different titles. May be empty.
    pub template_ids: Vec<String>,
    /// Every template that may be asked for, and what becomes of it.
    pub templates: Vec<AskedFor>,
    /// Whether decisions are to be reported: not where WeChat's events come.
    pub report: bool,
}

/// A template that may be asked for.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AskedFor {
    /// WeChat's id.
    pub template_id: String,
    /// Its title.
    pub title: String,
    /// `one_time` or `long_term`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether it is asked for now.
    pub ask: bool,
    /// spent, never, more; or why not: enough, cool_down, same_title, other_type, next_time.
    pub reason: &'static str,
    /// Of a cool-down: until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Service {
    /// The templates to ask this person for; only of those named, where some are.
    ///
    /// # Errors
    /// `too_many_calls`, or where the database is away.
    pub async fn ask(
        &self,
        app: &App,
        visitor: &Visitor,
        only: &[String],
        from: &str,
    ) -> Result<Ask, Problem> {
        let now = self.now();
        self.limits.count(Counted::CallOfAddress, app.number, from, now)?;
        self.limits.count(Counted::AskOfUser, app.number, &visitor.openid, now)?;
        let templates = self.may_be_asked(app, only).await?;
        let subscriptions = self.store.subscriptions_of(app.number, &visitor.openid, None).await?;
        let mut standings: HashMap<String, Standing> = subscriptions
            .into_iter()
            .map(|one| {
                let held = one.subscription;
                let available = domain::ledger::available(held.balance, one.reserved);
                let standing = Standing {
                    status: (held.status, held.status_at),
                    available,
                    had: held.last_grant_at > 0,
                    reported: None,
                };
                (one.template_id, standing)
            })
            .collect();
        for (template_id, accepted, at) in self.store.reported_of(app.number, &visitor.openid).await? {
            standings.entry(template_id).or_default().reported = Some((accepted, at));
        }
        let candidates: Vec<(Candidate, Standing)> = templates
            .iter()
            .map(|template| {
                let rule = app.settings.ask_rule(&template.id);
                let candidate = Candidate {
                    title: template.title.clone(),
                    kind: template.kind,
                    priority: rule.priority,
                    cool_down: i64::from(rule.cool_down_hours) * HOUR,
                    keep: rule.keep,
                };
                (candidate, standings.get(&template.id).copied().unwrap_or_default())
            })
            .collect();
        let verdicts = asking::choose(&candidates, now);
        let mut asked: Vec<(i32, AskedFor)> = templates
            .into_iter()
            .zip(&candidates)
            .zip(verdicts)
            .map(|((template, (candidate, _)), verdict)| (candidate.priority, asked_for(template, verdict)))
            .collect();
        asked.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
        let templates: Vec<AskedFor> = asked.into_iter().map(|(_, one)| one).collect();
        let template_ids =
            templates.iter().filter(|one| one.ask).map(|one| one.template_id.clone()).collect();
        let report = app.settings.reports == Reports::Count
            && !self.store.popups_since(app.number, now - LATELY).await?;
        Ok(Ask { template_ids, templates, report })
    }

    /// Those that the app's setting `ask` names, or all; only of those named in the question.
    async fn may_be_asked(&self, app: &App, only: &[String]) -> Result<Vec<TemplateView>, Problem> {
        let only: Vec<String> = only.iter().map(|named| app.settings.template_id(named.clone())).collect();
        let mut templates = self.templates(app).await?;
        templates.retain(|template| {
            !template.gone
                && template.synced_at.is_some()
                && app.settings.may_ask(&template.id)
                && (only.is_empty() || only.contains(&template.id))
        });
        Ok(templates)
    }
}

fn asked_for(template: TemplateView, verdict: Verdict) -> AskedFor {
    let (ask, reason, until) = match verdict {
        Verdict::Ask(Why::Spent) => (true, "spent", None),
        Verdict::Ask(Why::Never) => (true, "never", None),
        Verdict::Ask(Why::More) => (true, "more", None),
        Verdict::Enough => (false, "enough", None),
        Verdict::CoolDown(until) => (false, "cool_down", Some(time(until))),
        Verdict::SameTitle => (false, "same_title", None),
        Verdict::OtherType => (false, "other_type", None),
        Verdict::NextTime => (false, "next_time", None),
    };
    AskedFor {
        template_id: template.id,
        title: template.title,
        kind: template.kind.as_str(),
        ask,
        reason,
        until,
    }
}

//! Templates: read from WeChat, never changed there (I14).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use domain::Millis;
use domain::campaign::CampaignState;
use domain::ledger::TemplateKind;
use serde::Serialize;
use store::templates::{Drift, StoredTemplate, SyncedTemplate};
use wechat::client::CallError;
use wechat::template::{Field, TemplateType};

use crate::problem::{Kind, Problem};
use crate::tokens::TokenError;
use crate::{App, Service};

/// A template with its fields.
#[derive(Debug, Clone)]
pub struct TemplateView {
    /// Its number in the database.
    pub number: i64,
    /// WeChat's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// One-time or long-term.
    pub kind: TemplateKind,
    /// Its fields, in the order of the card.
    pub fields: Vec<Field>,
    /// WeChat's example text.
    pub example: String,
    /// Whether a sync no longer found it.
    pub gone: bool,
    /// What the last change at WeChat changed.
    pub difference: Option<Difference>,
    /// When a sync last saw it.
    pub synced_at: Option<Millis>,
}

/// What is different about a template's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// When a sync noticed it.
    pub at: String,
    /// Fields that are new.
    pub added: Vec<String>,
    /// Fields that are no longer there.
    pub removed: Vec<String>,
    /// Fields of another label or with other values to choose from.
    pub changed: Vec<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.added.iter().map(|key| format!("+{key}"));
        let all = all
            .chain(self.removed.iter().map(|key| format!("-{key}")))
            .chain(self.changed.iter().map(|key| format!("~{key}")));
        f.write_str(&all.collect::<Vec<_>>().join(" "))
    }
}

/// What another reading of a template has in other words.
fn difference(before: &[Field], now: &[Field], at: Millis) -> Difference {
    let of = |fields: &[Field], key: &str| fields.iter().find(|field| field.key == key).cloned();
    let keys = |fields: &[Field], others: &[Field]| -> Vec<String> {
        fields
            .iter()
            .filter(|field| of(others, &field.key).is_none())
            .map(|field| field.key.clone())
            .collect()
    };
    let changed = now.iter().filter(|field| {
        of(before, &field.key)
            .is_some_and(|old| old.label != field.label || old.enum_values != field.enum_values)
    });
    Difference {
        at: crate::view::time(at),
        added: keys(now, before),
        removed: keys(before, now),
        changed: changed.map(|field| field.key.clone()).collect(),
    }
}

impl Service {
    /// Reads the app's templates from WeChat and keeps them.
    ///
    /// # Errors
    /// What WeChat answered, with the remedy.
    pub async fn sync_templates(&self, app: &App) -> Result<Vec<TemplateView>, Problem> {
        let token = self.tokens.get(app).await.map_err(|error| token_problem(&error))?;
        let mut read = self.client.templates(&app.api_base_url, &token.secret).await;
        if let Err(CallError::WeChat { errcode, .. }) = &read
            && wechat::errcode::class(*errcode) == wechat::errcode::Class::RefreshToken
        {
            let token =
                self.tokens.replace(app, token.version).await.map_err(|error| token_problem(&error))?;
            read = self.client.templates(&app.api_base_url, &token.secret).await;
        }
        let read = read.map_err(|error| call_problem(&error))?;
        let synced = read
            .into_iter()
            .map(|template| SyncedTemplate {
                fields: serde_json::to_string(&template.fields).unwrap_or_else(|_| "[]".into()),
                template_id: template.id,
                title: template.title,
                kind: match template.kind {
                    TemplateType::OneTime => TemplateKind::OneTime,
                    TemplateType::LongTerm => TemplateKind::LongTerm,
                },
                content: template.content,
                example: template.example,
            })
            .collect();
        let drifts = self.store.sync_templates(app.number, synced, self.now()).await?;
        self.known_templates.forget();
        let templates = self.templates(app).await?;
        for drift in &drifts {
            self.drifted(app, drift, &templates).await?;
        }
        Ok(templates)
    }

    /// A template has vanished, or has other fields: what uses it stands still until somebody has seen to it.
    async fn drifted(&self, app: &App, drift: &Drift, templates: &[TemplateView]) -> Result<(), Problem> {
        let template = templates.iter().find(|template| template.number == drift.number);
        let because = match (&drift.before, template) {
            (Some(_), Some(TemplateView { difference: Some(difference), .. })) => {
                if difference.added.is_empty()
                    && difference.removed.is_empty()
                    && difference.changed.is_empty()
                {
                    return Ok(());
                }
                format!("template_changed: {difference}")
            }
            (Some(_), _) => return Ok(()),
            (None, _) => "template_gone".to_owned(),
        };
        tracing::error!(
            app = app.app_id,
            template = drift.template_id,
            because,
            "a template is not what it was at WeChat"
        );
        metrics::counter!("hongyan_template_drifts_total").increment(1);
        let mut paused = Vec::new();
        for live in self.campaigns.under_way() {
            let uses = live.stored.asked.app == app.number && live.stored.asked.template == drift.number;
            let moving = matches!(live.stored.state, CampaignState::Running | CampaignState::Scheduled);
            if uses && moving && self.pause_campaign(app, live.stored.asked.id, &because).await.is_ok() {
                paused.push(live.stored.asked.id.to_string());
            }
        }
        let body = serde_json::json!({ "template_id": drift.template_id, "because": because, "paused_campaigns": paused });
        Ok(self.store.tell(app.number, "alarm.template", body.to_string()).await?)
    }

    /// The app's templates as they were last read.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn templates(&self, app: &App) -> Result<Vec<TemplateView>, Problem> {
        let stored = self.store.templates(app.number).await?;
        Ok(stored.into_iter().filter(|template| template.synced_at.is_some()).map(view).collect())
    }

    /// One template; WeChat is asked once where nothing was ever read of the app.
    pub(crate) async fn template(
        &self,
        app: &App,
        template_id: &str,
    ) -> Result<Option<Arc<TemplateView>>, Problem> {
        if let Some(template) = self.known_templates.get(app.number, template_id) {
            return Ok(Some(template));
        }
        let asked = self.known_templates.generation();
        let found = self.find_template(app, template_id).await?.map(Arc::new);
        if let Some(template) = &found {
            self.known_templates.keep(app.number, template, asked);
        }
        Ok(found)
    }

    async fn find_template(&self, app: &App, template_id: &str) -> Result<Option<TemplateView>, Problem> {
        // One look at all: between two, another call's first sync could come.
        let mut all = self.templates(app).await?;
        if all.is_empty() {
            all = self.sync_templates(app).await?;
        }
        Ok(all.into_iter().find(|template| template.id == template_id))
    }
}

/// Templates in memory: every message asks for its own. Forgotten at every sync, and when another process wrote.
#[derive(Debug, Default)]
pub(crate) struct KnownTemplates {
    by_id: RwLock<HashMap<(i64, String), Arc<TemplateView>>>,
    generation: AtomicU64,
}

impl KnownTemplates {
    fn get(&self, app: i64, template_id: &str) -> Option<Arc<TemplateView>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        by_id.get(&(app, template_id.to_owned())).cloned()
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Keeps what was read, unless something was forgotten since it was `asked` for.
    fn keep(&self, app: i64, template: &Arc<TemplateView>, asked: u64) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        if self.generation() == asked {
            by_id.insert((app, template.id.clone()), Arc::clone(template));
        }
    }

    pub(crate) fn forget(&self) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        by_id.clear();
    }
}

fn view(stored: StoredTemplate) -> TemplateView {
    let fields: Vec<Field> = serde_json::from_str(&stored.fields).unwrap_or_default();
    let before =
        stored.changed.and_then(|(before, at)| Some((serde_json::from_str::<Vec<Field>>(&before).ok()?, at)));
    TemplateView {
        number: stored.number,
        id: stored.template_id,
        title: stored.title,
        kind: stored.kind,
        difference: before.map(|(before, at)| difference(&before, &fields, at)),
        synced_at: stored.synced_at,
        fields,
        example: stored.example,
        gone: stored.gone_at.is_some(),
    }
}

/// What a failing call to WeChat means to the caller.
pub(crate) fn call_problem(error: &CallError) -> Problem {
    match error {
        CallError::WeChat { errcode, errmsg } => {
            // What will never work is the caller's to change; the rest is between WeChat and us.
            // 48006: the resets of this month are used up, and asking again does not help.
            let never =
                *errcode == 48006 || wechat::errcode::class(*errcode) == wechat::errcode::Class::Permanent;
            let (kind, code) = if never {
                (Kind::Invalid, "wechat_refused")
            } else {
                (Kind::Upstream, "wechat_call_failed")
            };
            Problem::new(
                kind,
                code,
                wechat::errcode::explain(*errcode, errmsg, wechat::Lang::Zh),
                wechat::errcode::explain(*errcode, errmsg, wechat::Lang::En),
            )
        }
        other => Problem::new(
            Kind::Upstream,
            "wechat_call_failed",
            format!("没有得到微信的有效回答（{other}）。请检查网络与 api_base_url 后重试。"),
            format!(
                "WeChat gave no usable answer ({other}). Check the network and api_base_url, then try again."
            ),
        ),
    }
}

/// What a missing token means to the caller.
pub fn token_problem(error: &TokenError) -> Problem {
    match error {
        TokenError::Call(error) => call_problem(error),
        TokenError::Store(error) => error.clone().into(),
        TokenError::Source(error) => Problem::new(
            Kind::Upstream,
            "token_source_failed",
            format!(
                "token_source（团队自己的 access_token 服务）没有给出可用的 access_token：{error}。请检查该地址与请求头。"
            ),
            format!("The app's token source gave no access token: {error}. Check its address and header."),
        ),
        TokenError::Rationed => Problem::new(
            Kind::Upstream,
            "token_rejected",
            "access_token 被微信拒绝，且强制刷新次数暂时用完（每天 20 次、间隔 30 秒）。请检查是否有其他系统在用同一 AppSecret 刷新。",
            "WeChat rejects the access token, and forced refreshes are used up for now (20 a day, 30 s apart). Look for another system that refreshes with the same AppSecret.",
        ),
    }
}

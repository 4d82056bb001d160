//! Templates: read from WeChat, never changed there (I14).

use domain::ledger::TemplateKind;
use store::templates::{StoredTemplate, SyncedTemplate};
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
        self.store.sync_templates(app.number, synced, self.now()).await?;
        self.templates(app).await
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
    ) -> Result<Option<TemplateView>, Problem> {
        let known =
            |stored: Option<StoredTemplate>| stored.filter(|template| template.synced_at.is_some()).map(view);
        if let Some(template) = known(self.store.template(app.number, template_id).await?) {
            return Ok(Some(template));
        }
        if !self.templates(app).await?.is_empty() {
            return Ok(None);
        }
        self.sync_templates(app).await?;
        Ok(known(self.store.template(app.number, template_id).await?))
    }
}

fn view(stored: StoredTemplate) -> TemplateView {
    TemplateView {
        number: stored.number,
        id: stored.template_id,
        title: stored.title,
        kind: stored.kind,
        fields: serde_json::from_str(&stored.fields).unwrap_or_default(),
        example: stored.example,
        gone: stored.gone_at.is_some(),
    }
}

/// What a failing call to WeChat means to the caller.
pub(crate) fn call_problem(error: &CallError) -> Problem {
    let code = "wechat_call_failed";
    match error {
        CallError::WeChat { errcode, errmsg } => Problem::new(
            Kind::Upstream,
            code,
            wechat::errcode::explain(*errcode, errmsg, wechat::Lang::Zh),
            wechat::errcode::explain(*errcode, errmsg, wechat::Lang::En),
        ),
        other => Problem::new(
            Kind::Upstream,
            code,
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
        TokenError::Rationed => Problem::new(
            Kind::Upstream,
            "token_rejected",
            "access_token 被微信拒绝，且强制刷新次数暂时用完（每天 20 次、间隔 30 秒）。请检查是否有其他系统在用同一 AppSecret 刷新。",
            "WeChat rejects the access token, and forced refreshes are used up for now (20 a day, 30 s apart). Look for another system that refreshes with the same AppSecret.",
        ),
    }
}

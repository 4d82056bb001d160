//! The public template library (公共模板库), and adding and deleting templates of one's own: the only calls that change anything at
//! WeChat, and only when somebody asks for them.

use std::future::Future;

use secrecy::SecretString;
use wechat::client::{CallError, Category, LibraryKeyword, LibraryTitle};
use wechat::errcode::{self, Class};

use crate::problem::{FieldError, Problem};
use crate::templates::{TemplateView, call_problem, token_problem};
use crate::{App, Service};

/// Titles that WeChat gives at a time.
const PAGE: u32 = 30;
/// Pages that a search reads through.
const PAGES: u32 = 20;
/// Keywords of a template (WeChat's rule), and the length of its scene.
const KEYWORDS: std::ops::RangeInclusive<usize> = 2..=5;
const SCENE: usize = 15;

/// A page of the library.
#[derive(Debug, Clone)]
pub struct LibraryPage {
    /// The mini program's categories.
    pub categories: Vec<Category>,
    /// Titles, those that fit the words searched for.
    pub titles: Vec<LibraryTitle>,
    /// How many the categories have in all.
    pub count: i64,
    /// Where the next page begins.
    pub next: Option<u32>,
}

impl Service {
    /// Titles of the library in the mini program's categories; with words, those that hold them.
    ///
    /// # Errors
    /// What WeChat answered.
    pub async fn library(&self, app: &App, words: &str, start: u32) -> Result<LibraryPage, Problem> {
        let base = app.api_base_url.as_str();
        let categories =
            self.with_token(app, |token| async move { self.client.categories(base, &token).await }).await?;
        let ids: Vec<i64> = categories.iter().map(|category| category.id).collect();
        if ids.is_empty() {
            return Ok(LibraryPage { categories, titles: Vec::new(), count: 0, next: None });
        }
        let (mut titles, mut at) = (Vec::new(), start);
        let words = words.trim();
        for page in 0.. {
            let ids = &ids;
            let found = self
                .with_token(app, |token| async move {
                    self.client.library_titles(base, &token, ids, at, PAGE).await
                })
                .await?;
            let (count, read) = (found.count, u32::try_from(found.titles.len()).unwrap_or(0));
            at += read;
            titles.extend(found.titles.into_iter().filter(|title| title.title.contains(words)));
            let over = read == 0 || i64::from(at) >= count;
            if over || words.is_empty() || page + 1 == PAGES || titles.len() >= PAGE as usize {
                return Ok(LibraryPage { categories, titles, count, next: (!over).then_some(at) });
            }
        }
        Ok(LibraryPage { categories, titles, count: 0, next: None })
    }

    /// The keywords that a library template offers.
    ///
    /// # Errors
    /// What WeChat answered.
    pub async fn library_keywords(&self, app: &App, tid: &str) -> Result<Vec<LibraryKeyword>, Problem> {
        let base = app.api_base_url.as_str();
        self.with_token(app, |token| async move { self.client.library_keywords(base, &token, tid).await })
            .await
    }

    /// Takes a template from the library into the mini program's own, with 2 to 5 of its keywords.
    ///
    /// # Errors
    /// `validation_failed`; what WeChat answered.
    pub async fn add_template(
        &self,
        app: &App,
        tid: &str,
        keywords: &[i64],
        scene: &str,
    ) -> Result<TemplateView, Problem> {
        let mut errors = Vec::new();
        if tid.is_empty() || !tid.bytes().all(|byte| byte.is_ascii_digit()) {
            errors.push(FieldError::new(
                "/tid",
                "invalid_tid",
                "tid 应是公共模板库里的编号（数字）。",
                "tid is a number of the public library.",
            ));
        }
        if !KEYWORDS.contains(&keywords.len()) {
            errors.push(FieldError::new(
                "/keywords",
                "invalid_keywords",
                format!("请选 2 到 5 个关键词，现在是 {} 个。", keywords.len()),
                format!("Choose 2 to 5 keywords; these are {}.", keywords.len()),
            ));
        }
        let length = scene.trim().chars().count();
        if length == 0 || length > SCENE {
            errors.push(FieldError::new(
                "/scene",
                "invalid_scene",
                format!("服务场景说明为 1 到 {SCENE} 个字，现在是 {length} 个。"),
                format!("The scene has 1 to {SCENE} characters; this one has {length}."),
            ));
        }
        if !errors.is_empty() {
            return Err(Problem::fields(errors));
        }
        let (base, scene) = (app.api_base_url.as_str(), scene.trim());
        let id = self
            .with_token(app, |token| async move {
                self.client.add_template(base, &token, tid, keywords, scene).await
            })
            .await?;
        let all = self.sync_templates(app).await?;
        all.into_iter().find(|template| template.id == id).ok_or_else(|| {
            Problem::new(
                crate::Kind::Upstream,
                "template_not_seen",
                format!("微信已选用模板 {id}，但模板列表里还看不到它；请稍后再同步。"),
                format!(
                    "WeChat took the template {id}, but its list does not show it yet; sync again in a while."
                ),
            )
        })
    }

    /// Deletes one of the mini program's own templates at WeChat: messages of it can no longer be sent, and grants for it are lost.
    ///
    /// # Errors
    /// `not_confirmed`; what WeChat answered.
    pub async fn delete_template(&self, app: &App, template_id: &str, confirm: &str) -> Result<(), Problem> {
        if confirm != template_id {
            return Err(FieldError::new(
                "/confirm",
                "not_confirmed",
                "删除后无法恢复，用户对它的订阅次数全部作废。请在 confirm 中填写完整的模板 ID 确认。",
                "It cannot be undone, and every grant for it is lost. Confirm it with the template's whole id in `confirm`.",
            )
            .into());
        }
        let base = app.api_base_url.as_str();
        self.with_token(
            app,
            |token| async move { self.client.delete_template(base, &token, template_id).await },
        )
        .await?;
        tracing::warn!(app = app.app_id, template_id, "a template was deleted at WeChat");
        self.sync_templates(app).await.map(drop)
    }

    /// What WeChat remembers of a call with this rid.
    ///
    /// # Errors
    /// What WeChat answered.
    pub async fn rid_record(&self, app: &App, rid: &str) -> Result<wechat::client::RidRecord, Problem> {
        let base = app.api_base_url.as_str();
        self.with_token(app, |token| async move { self.client.rid_record(base, &token, rid).await }).await
    }

    /// Makes a call with the app's token, and once more with a fresh one where WeChat rejects it.
    pub(crate) async fn with_token<T, F: Future<Output = Result<T, CallError>>>(
        &self,
        app: &App,
        call: impl Fn(SecretString) -> F,
    ) -> Result<T, Problem> {
        let token = self.tokens.get(app).await.map_err(|error| token_problem(&error))?;
        let mut answer = call(token.secret.clone()).await;
        if let Err(CallError::WeChat { errcode, .. }) = &answer
            && errcode::class(*errcode) == Class::RefreshToken
        {
            let token =
                self.tokens.replace(app, token.version).await.map_err(|error| token_problem(&error))?;
            answer = call(token.secret.clone()).await;
        }
        answer.map_err(|error| call_problem(&error))
    }
}

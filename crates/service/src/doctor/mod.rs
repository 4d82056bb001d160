//! The diagnosis (一键诊断): checks of the installation and of each app, each with a verdict, what it means and what to do. Used by
//! the console, the API and the command line.

mod app;
mod certificate;
mod database;
mod lanes;
mod reach;
mod stuck;

use serde::Serialize;
use wechat::Lang;

pub use app::{is_news, refusal};
pub(crate) use certificate::Certificates;
pub use certificate::{AHEAD, CertificateSeen};

use crate::{App, Service};

/// What a check found, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CheckVerdict)]
pub enum Verdict {
    /// It cannot be told, or does not apply here.
    Skipped,
    /// All right.
    Ok,
    /// It works, but somebody should look.
    Warn,
    /// It does not work.
    Fail,
}

/// One check.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// In a word, for programs.
    #[schema(example = "certificate")]
    pub code: &'static str,
    /// The app that it is about; none: the whole installation.
    pub app_id: Option<String>,
    /// What is checked.
    #[schema(example = "Certificate of public_url")]
    pub title: String,
    /// What was found.
    pub verdict: Verdict,
    /// What it means.
    #[schema(example = "It is valid for 9 more days (until 2026-12-06).")]
    pub detail: String,
    /// What to do; none where nothing is to be done.
    #[schema(example = "Renew it now, and look why it is not renewed by itself.")]
    pub remedy: Option<String>,
}

/// A text in Chinese and English.
type Text = (String, String);

/// Gathers checks in one language.
struct Checks {
    lang: Lang,
    app_id: Option<String>,
    all: Vec<Check>,
}

impl Checks {
    fn new(lang: Lang, app: Option<&App>) -> Self {
        Self { lang, app_id: app.map(|app| app.app_id.clone()), all: Vec::new() }
    }

    fn say(&self, text: Text) -> String {
        match self.lang {
            Lang::Zh => text.0,
            Lang::En => text.1,
        }
    }

    fn add(
        &mut self,
        code: &'static str,
        titles: (&str, &str),
        verdict: Verdict,
        detail: Text,
        remedy: Option<Text>,
    ) {
        let title = self.say((titles.0.to_owned(), titles.1.to_owned()));
        let (detail, remedy) = (self.say(detail), remedy.map(|remedy| self.say(remedy)));
        self.all.push(Check { code, app_id: self.app_id.clone(), title, verdict, detail, remedy });
    }

    fn ok(&mut self, code: &'static str, titles: (&str, &str), detail: Text) {
        self.add(code, titles, Verdict::Ok, detail, None);
    }

    fn warn(&mut self, code: &'static str, titles: (&str, &str), detail: Text, remedy: Text) {
        self.add(code, titles, Verdict::Warn, detail, Some(remedy));
    }

    fn fail(&mut self, code: &'static str, titles: (&str, &str), detail: Text, remedy: Text) {
        self.add(code, titles, Verdict::Fail, detail, Some(remedy));
    }

    fn skip(&mut self, code: &'static str, titles: (&str, &str), detail: Text) {
        self.add(code, titles, Verdict::Skipped, detail, None);
    }

    /// Where the database did not answer the question; that it is away has a check of its own.
    fn unanswered(&mut self, code: &'static str, titles: (&str, &str)) {
        self.skip(
            code,
            titles,
            text("数据库没有回答，无法检查。", "The database did not answer; it cannot be told."),
        );
    }
}

/// A text that holds no figures.
fn text(zh: &str, en: &str) -> Text {
    (zh.to_owned(), en.to_owned())
}

/// The worst of all; [`Verdict::Ok`] where there are none.
pub fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok).max(Verdict::Ok)
}

/// A check that says why nothing else can be checked: for callers that did not even get a [`Service`].
pub fn hopeless(
    code: &'static str,
    lang: Lang,
    titles: (&str, &str),
    detail: (String, String),
    remedy: (&str, &str),
) -> Check {
    let mut checks = Checks::new(lang, None);
    checks.fail(code, titles, detail, text(remedy.0, remedy.1));
    checks.all.remove(0)
}

impl Service {
    /// Checks an app's connection to WeChat, quickly: what the guide shows beside its steps.
    pub async fn check_connection(&self, app: &App, lang: Lang) -> Vec<Check> {
        let mut checks = Checks::new(lang, Some(app));
        self.check_connection_into(app, &mut checks).await;
        checks.all
    }

    /// Checks everything about an app, asking WeChat where that is needed; takes some seconds.
    pub async fn doctor(&self, app: &App, lang: Lang) -> Vec<Check> {
        let mut checks = Checks::new(lang, Some(app));
        let (mut reach, mut stuck) = (Checks::new(lang, Some(app)), Checks::new(lang, Some(app)));
        let quick = async {
            let token = self.check_connection_into(app, &mut checks).await;
            if token {
                self.check_push_address(app, &mut reach).await;
            }
        };
        tokio::join!(quick, self.check_movement(app, &mut stuck));
        checks.all.extend(reach.all);
        checks.all.extend(stuck.all);
        checks.all
    }

    /// Checks what all apps share: the database, the lanes, the address and its certificate. `deep` reads the whole of an SQLite file.
    pub async fn doctor_installation(&self, lang: Lang, deep: bool) -> Vec<Check> {
        let [mut database, mut lanes, mut outside] = [0; 3].map(|_| Checks::new(lang, None));
        let inside = async {
            self.check_database(&mut database, deep).await;
            self.check_lanes(&mut lanes).await;
            self.check_webhooks(&mut lanes).await;
        };
        let outwards = async {
            self.check_certificate(&mut outside).await;
            self.check_public_url(&mut outside).await;
        };
        tokio::join!(inside, outwards);
        database.all.extend(lanes.all);
        database.all.extend(outside.all);
        database.all
    }
}

//! What every page has: language, navigation, who is signed in.

use domain::entropy::random_bytes;
use service::Lang;
use service::operators::{Right, Role};

use crate::Console;
use crate::visit::{AppVisit, Visit, csrf};
use crate::words;

/// The frame of a page.
pub(crate) struct Page {
    pub(crate) lang: Lang,
    pub(crate) title: String,
    pub(crate) base: String,
    pub(crate) version: &'static str,
    pub(crate) csrf: String,
    pub(crate) operator: Option<String>,
    pub(crate) path: String,
    pub(crate) section: &'static str,
    pub(crate) app: Option<AppHead>,
    pub(crate) apps: Vec<(String, String)>,
    pub(crate) admin: bool,
    pub(crate) notice: Option<&'static str>,
    /// A key that makes a form count once, however often it is sent.
    pub(crate) once: String,
}

/// The app that a page is about.
pub(crate) struct AppHead {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The phone of its simulated WeChat.
    pub(crate) phone: Option<String>,
    pub(crate) simulated: bool,
    pub(crate) trial: bool,
}

impl Page {
    /// A page before somebody is signed in.
    pub(crate) fn outside(console: &Console, lang: Lang, title: &str) -> Self {
        Self {
            lang,
            title: title.to_owned(),
            base: console.options.base(),
            version: crate::answer::assets_version(),
            csrf: String::new(),
            operator: None,
            path: String::new(),
            section: "",
            app: None,
            apps: Vec::new(),
            admin: false,
            notice: None,
            once: hex::encode(random_bytes::<16>(&**console.service.entropy())),
        }
    }

    /// A page that is not one app's.
    pub(crate) fn of(visit: &Visit, section: &'static str, title: &str) -> Self {
        let query = visit.path.split_once('?').map_or("", |(_, query)| query);
        let done = crate::form::Form::parse(query.as_bytes()).some("done");
        Self {
            csrf: csrf(&visit.session),
            operator: Some(visit.operator.name.clone()),
            path: visit.path.trim_start_matches('/').to_owned(),
            section,
            apps: visit.apps().iter().map(|app| (app.app_id.clone(), app.name.clone())).collect(),
            admin: visit.operator.may_everywhere(Right::Manage),
            notice: done.and_then(|done| words::done(&done, visit.lang)),
            ..Self::outside(&visit.console, visit.lang, title)
        }
    }

    /// A page of an app.
    pub(crate) fn of_app(visit: &AppVisit, section: &'static str, title: &str) -> Self {
        let app = &visit.app;
        let phones = visit.console.options.phones.read();
        let phones = phones.unwrap_or_else(std::sync::PoisonError::into_inner);
        let phone = phones.iter().find(|phone| **phone == app.api_base_url).cloned();
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        Self {
            app: Some(AppHead {
                id: app.app_id.clone(),
                name: app.name.clone(),
                role: visit.operator.role(&app.app_id).unwrap_or(Role::Viewer),
                simulated: phone.is_some() || local.iter().any(|local| app.api_base_url.starts_with(local)),
                phone,
                trial: app.settings.trial,
            }),
            ..Self::of(visit, section, title)
        }
    }

    /// The text in the page's language.
    pub(crate) fn t<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        match self.lang {
            Lang::Zh => zh,
            Lang::En => en,
        }
    }

    pub(crate) fn lang(&self) -> Lang {
        self.lang
    }

    pub(crate) fn zh(&self) -> bool {
        self.lang == Lang::Zh
    }

    /// Whether two texts are the same: templates hold them behind differently many references.
    pub(crate) fn is(&self, one: &str, other: &str) -> bool {
        one == other
    }

    fn may(&self, right: Right) -> bool {
        self.app.as_ref().is_some_and(|app| app.role.may(right))
    }

    pub(crate) fn may_edit(&self) -> bool {
        self.may(Right::Edit)
    }

    pub(crate) fn may_send(&self) -> bool {
        self.may(Right::Send)
    }

    pub(crate) fn may_manage(&self) -> bool {
        self.may(Right::Manage)
    }

    /// A path below the app's pages.
    pub(crate) fn a(&self, rest: &str) -> String {
        let id = self.app.as_ref().map_or("", |app| app.id.as_str());
        format!("apps/{id}/{rest}")
    }

    /// A number with its separators.
    pub(crate) fn n(&self, number: &i64) -> String {
        words::number(*number)
    }

    /// A moment, shorter the nearer it is.
    pub(crate) fn time(&self, text: &str) -> String {
        words::moment(text)
    }

    /// Who it was: `operator:小王` as 小王.
    pub(crate) fn who<'w>(&self, principal: &'w str) -> &'w str {
        principal.strip_prefix("operator:").unwrap_or(principal)
    }

    /// A stored moment.
    pub(crate) fn at(&self, at: &domain::Millis) -> String {
        words::moment(&service::view::time(*at))
    }

    /// The state of a message, in words.
    pub(crate) fn state(&self, state: &str) -> &'static str {
        words::message_state(state, self.lang)
    }

    /// The state of a campaign, in words.
    pub(crate) fn campaign(&self, state: &str) -> &'static str {
        words::campaign_state(state, self.lang)
    }

    /// The colour of a state.
    pub(crate) fn colour(&self, state: &str) -> &'static str {
        words::colour(state)
    }

    /// Names of several apps in the switcher.
    pub(crate) fn many_apps(&self) -> bool {
        self.apps.len() > 1
    }
}

//! What WeChat pushed: verdicts, effects, replay. And what was refused before it came that far.

use askama::Template;
use axum::extract::{Path, Query};
use domain::InboxId;
use service::doctor::refusal;
use service::inbox::CallbackView;
use service::operators::Right;
use service::{Kind, Lang, Problem};
use store::hot::append::Verdict;

use super::more;
use crate::answer::{Answer, go, show};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::AppVisit;

const SHOWN: i64 = 50;

#[derive(Template)]
#[template(path = "callbacks.html")]
struct ListPage {
    page: Page,
    chosen: String,
    callbacks: Vec<CallbackView>,
    refused: Vec<(String, &'static str)>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "callback.html")]
struct CallbackPage {
    page: Page,
    callback: CallbackView,
    effects: String,
    replayable: bool,
}

pub(crate) fn word(verdict: &Option<Verdict>) -> Option<&'static str> {
    verdict.as_ref().map(|verdict| match verdict {
        Verdict::Applied => "applied",
        Verdict::Duplicate => "duplicate",
        Verdict::Ignored => "ignored",
        Verdict::Quarantined => "quarantined",
    })
}

pub(crate) async fn list(visit: AppVisit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    visit.need(Right::Manage)?;
    let query = Form::of(query);
    let page = Page::of_app(&visit, "callbacks", "");
    let title = page.t("推送接收记录", "Callbacks").to_owned();
    let chosen = query.get("verdict").to_owned();
    let verdict = serde_json::from_value(chosen.clone().into()).ok();
    let before = query.get("cursor").parse::<InboxId>().ok();
    let (callbacks, next) = visit.service().callbacks(&visit.app, verdict, before, SHOWN).await?;
    let refused = visit
        .service()
        .arrivals(&visit.app)
        .into_iter()
        .filter_map(|arrival| {
            let (zh, en) = refusal(arrival.refused?);
            Some((service::view::time(arrival.at), if visit.lang == Lang::Zh { zh } else { en }))
        })
        .collect();
    let next = more(&page.a("callbacks"), &[("verdict", chosen.as_str())], next.map(|next| next.to_string()));
    Ok(show(&ListPage { page: Page { title, ..page }, chosen, callbacks, refused, next }))
}

pub(crate) async fn show_one(visit: AppVisit, Path((_, id)): Path<(String, String)>) -> Answer {
    visit.need(Right::Manage)?;
    let page = Page::of_app(&visit, "callbacks", "");
    let title = page.t("微信推送", "Callback").to_owned();
    let callback = visit.service().callback(&visit.app, id_of(&id)?).await?;
    let effects = match callback.effects.as_array() {
        Some(effects) if !effects.is_empty() => serde_json::to_string_pretty(effects).unwrap_or_default(),
        _ => String::new(),
    };
    let replayable = matches!(callback.verdict, Some(Verdict::Quarantined | Verdict::Ignored));
    Ok(show(&CallbackPage { page: Page { title, ..page }, callback, effects, replayable }))
}

pub(crate) async fn replay(visit: AppVisit, Path((_, id)): Path<(String, String)>, _: Form) -> Answer {
    visit.need(Right::Manage)?;
    visit.service().replay_callback(&visit.app, id_of(&id)?).await?;
    visit.did("POST callbacks/replay", Some(&id)).await;
    Ok(go(&visit.path(&format!("callbacks/{id}?done=replayed"))))
}

fn id_of(text: &str) -> Result<InboxId, Problem> {
    text.parse().map_err(|_| {
        Problem::new(Kind::NotFound, "callback_not_found", "没有这条推送。", "There is no such callback.")
    })
}

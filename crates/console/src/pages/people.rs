//! Subscribers: finding them, one person's grants with the ledger that explains them, what the team knows; import, export, erasing.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Multipart, Path, Query};
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use service::grants::{BalanceSummary, ByHandKind, EntryRequest};
use service::operators::Right;
use service::people::{Imported, PersonRequest, PersonView};
use service::subscriptions::{EntryView, SubscriptionView};
use service::{Kind, Problem};

use super::more;
use crate::answer::{Answer, go, show};
use crate::form::{Form, stale};
use crate::layout::Page;
use crate::visit::AppVisit;

const SHOWN: i64 = 50;

#[derive(Template)]
#[template(path = "people.html")]
struct ListPage {
    page: Page,
    form: Form,
    keys: Vec<String>,
    people: Vec<(PersonView, String)>,
    subscriptions: Vec<(SubscriptionView, String, String)>,
    next: Option<String>,
    imported: Option<Imported>,
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    page: Page,
    openid: String,
    shown: String,
    person: Option<PersonView>,
    grants: Vec<Grants>,
}

/// One template's grants of a person.
struct Grants {
    title: String,
    subscription: SubscriptionView,
    summary: BalanceSummary,
    entries: Vec<EntryView>,
}

pub(crate) async fn list(visit: AppVisit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    list_page(&visit, Form::of(query), None).await
}

async fn list_page(visit: &AppVisit, form: Form, imported: Option<Imported>) -> Answer {
    let page = Page::of_app(visit, "people", "");
    let title = page.t("用户", "Subscribers").to_owned();
    let (service, app) = (visit.service(), &visit.app);
    let mut keys = vec!["openid".to_owned(), "external_id".to_owned()];
    keys.extend(app.settings.attributes.iter().filter(|(_, kind)| kind.key).map(|(name, _)| name.clone()));
    let (by, what) = (form.get("by"), form.get("what"));
    if by == "openid" && !what.is_empty() && visit.may(Right::Edit) {
        return Ok(go(&visit.path(&format!("subscribers/{}", crate::form::path_segment(what)))));
    }
    let titles: BTreeMap<String, String> =
        service.templates(app).await?.into_iter().map(|template| (template.id, template.title)).collect();
    let (mut people, mut subscriptions) = (Vec::new(), Vec::new());
    let next;
    if form.get("show") == "known" || !what.is_empty() || !form.get("tag").is_empty() {
        let found_by = (!what.is_empty() && visit.may(Right::Edit)).then_some((by, what));
        let tag = form.some("tag");
        let after = form
            .get("cursor")
            .split_once('.')
            .and_then(|(lane, openid)| Some((lane.parse().ok()?, openid.to_owned())));
        let (found, on) = service.people(app, found_by, tag.as_deref(), after, SHOWN).await?;
        people = found
            .into_iter()
            .map(|person| {
                let shown = visit.openid(&person.openid);
                (person, shown)
            })
            .collect();
        next = on.map(|(lane, openid)| format!("{lane}.{openid}"));
    } else {
        let after = form.some("cursor").and_then(|cursor| service::subscriptions::read_key(&cursor));
        let (found, on) = service.subscriptions(app, None, None, after, SHOWN).await?;
        subscriptions = found
            .into_iter()
            .map(|one| {
                let shown = visit.openid(&one.openid);
                let title = titles.get(&one.template_id).cloned().unwrap_or_else(|| one.template_id.clone());
                (one, shown, title)
            })
            .collect();
        next = on.map(|key| service::subscriptions::write_key(&key));
    }
    let kept = ["show", "tag"].map(|name| (name, form.get(name)));
    // A cursor names an openid: not for whoever sees them masked.
    let next = more(&page.a("subscribers"), &kept, next.filter(|_| visit.may(Right::Edit)));
    let page = Page { title, ..page };
    Ok(show(&ListPage { page, form, keys, people, subscriptions, next, imported }))
}

pub(crate) async fn show_one(visit: AppVisit, Path((_, openid)): Path<(String, String)>) -> Answer {
    visit.need(Right::Edit)?;
    let page = Page::of_app(&visit, "people", "");
    let title = page.t("用户", "Subscriber").to_owned();
    let (service, app) = (visit.service(), &visit.app);
    let person = match service.person(app, &openid).await {
        Ok(person) => Some(person),
        Err(problem) if problem.kind == Kind::NotFound => None,
        Err(problem) => return Err(problem.into()),
    };
    let titles: BTreeMap<String, String> =
        service.templates(app).await?.into_iter().map(|template| (template.id, template.title)).collect();
    let mut grants = Vec::new();
    for subscription in service.subscriptions(app, Some(&openid), None, None, SHOWN).await?.0 {
        let id = subscription.template_id.clone();
        let mut entries = service.ledger_of(app, &openid, &id, visit.lang).await?;
        entries.reverse();
        grants.push(Grants {
            title: titles.get(&id).cloned().unwrap_or_else(|| id.clone()),
            summary: service.balance_of(app, &openid, &id, visit.lang).await?.unwrap_or_default(),
            subscription,
            entries,
        });
    }
    if person.is_none() && grants.is_empty() {
        return Err(
            super::campaigns::missing("没有这个用户的记录。", "Nothing is known of this person.").into()
        );
    }
    let shown = visit.openid(&openid);
    Ok(show(&PersonPage { page: Page { title, ..page }, openid, shown, person, grants }))
}

pub(crate) async fn save(visit: AppVisit, Path((_, openid)): Path<(String, String)>, form: Form) -> Answer {
    visit.need(Right::Manage)?;
    let mut attributes = Map::new();
    if let Ok(person) = visit.service().person(&visit.app, &openid).await {
        // What is shown masked cannot be given back; only the others are written here.
        let sensitive =
            |name: &str| visit.app.settings.attributes.get(name).is_some_and(|kind| kind.sensitive);
        if person.attributes.keys().any(|name| sensitive(name)) {
            return Err(Problem::new(
                Kind::Conflict,
                "sensitive_attributes",
                "这个用户有敏感属性，页面上看不到原值；请用接口或导入来修改。",
                "This person has sensitive attributes whose values are not shown here; change them by the API or an import.",
            )
            .into());
        }
    }
    for line in form.get("attributes").lines() {
        if let Some((name, value)) = line.split_once(['=', '＝']) {
            let value = value.trim();
            let value = value
                .parse::<f64>()
                .ok()
                .filter(|number| number.to_string() == value)
                .map_or_else(|| Value::from(value), Value::from);
            attributes.insert(name.trim().to_owned(), value);
        }
    }
    let split = |text: &str| -> Vec<String> {
        text.split([',', '，']).map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
    };
    let request = PersonRequest {
        openid: None,
        external_id: form.some("external_id"),
        unionid: form.some("unionid"),
        tags: split(form.get("tags")),
        attributes,
    };
    visit.service().put_person(&visit.app, &openid, request).await?;
    visit.did("PUT subscribers", Some(&openid)).await;
    Ok(go(&visit.path(&format!("subscribers/{openid}?done=saved"))))
}

pub(crate) async fn adjust(visit: AppVisit, Path((_, openid)): Path<(String, String)>, form: Form) -> Answer {
    visit.need(Right::Manage)?;
    let request = EntryRequest {
        openid: openid.clone(),
        template_id: form.get("template_id").to_owned(),
        kind: ByHandKind::Adjust,
        delta: form.get("delta").parse().ok(),
        count: None,
        note: form.some("note"),
    };
    let by = visit.operator.principal();
    let written = visit.service().write_entries(&visit.app, vec![request], &by, None).await?;
    for verdict in written.verdicts {
        verdict?;
    }
    visit.did("POST ledger", Some(&openid)).await;
    Ok(go(&visit.path(&format!("subscribers/{openid}?done=saved"))))
}

/// Everything that is kept of a person.
pub(crate) async fn export(visit: AppVisit, Path((_, openid)): Path<(String, String)>) -> Answer {
    visit.need(Right::Manage)?;
    let (service, app) = (visit.service(), &visit.app);
    let person = service.person(app, &openid).await.ok();
    let subscriptions = service.subscriptions(app, Some(&openid), None, None, SHOWN).await?.0;
    let mut ledger = Vec::new();
    for one in &subscriptions {
        ledger.extend(service.ledger_of(app, &openid, &one.template_id, visit.lang).await?);
    }
    let filter = store::messages::MessageFilter { openid: Some(openid.clone()), ..Default::default() };
    let (mut messages, mut before) = (Vec::new(), None);
    loop {
        let (page, next) = service.messages(app, filter.clone(), None, before, 500, visit.lang).await?;
        messages.extend(page);
        match next {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    visit.did("GET subscribers/export", Some(&openid)).await;
    let all = json!({ "app_id": app.app_id, "openid": openid, "person": person, "subscriptions": subscriptions,
        "ledger": ledger, "messages": messages });
    let text = serde_json::to_string_pretty(&all).unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{openid}.json\"")),
    ];
    Ok((headers, text).into_response())
}

pub(crate) async fn erase(visit: AppVisit, Path((_, openid)): Path<(String, String)>, form: Form) -> Answer {
    visit.need(Right::Manage)?;
    if form.get("confirm") != openid {
        return Err(Problem::new(
            Kind::Invalid,
            "not_confirmed",
            "请原样输入 openid 确认删除。",
            "Type the openid to confirm.",
        )
        .into());
    }
    visit.service().erase_person(&visit.app, &openid).await?;
    // The log must not keep whom it was.
    visit.did("DELETE subscribers", None).await;
    Ok(go(&visit.path("subscribers?done=erasing")))
}

/// A table of people.
pub(crate) async fn import(visit: AppVisit, mut parts: Multipart) -> Answer {
    visit.need(Right::Manage)?;
    let (mut file, mut fields) = (None::<Bytes>, Vec::new());
    while let Some(part) = parts.next_field().await.map_err(|_| stale())? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            file = Some(part.bytes().await.map_err(|_| stale())?);
        } else {
            fields.push((name, part.text().await.map_err(|_| stale())?));
        }
    }
    Form::of(fields).proves(&visit.session)?;
    let rows = service::csv::table(&file.unwrap_or_default())?;
    let imported = visit.service().import_people(&visit.app, rows, visit.lang).await?;
    visit.did("POST subscribers/import", None).await;
    list_page(&visit, Form::of(vec![("show".into(), "known".into())]), Some(imported)).await
}

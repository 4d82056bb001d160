//! Writing a notice: to one person, who gets it at once, or to many, which makes a draft that is looked at before it goes.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Query;
use serde_json::{Map, Value, json};
use service::campaigns::Forecast;
use service::operators::Right;
use service::templates::TemplateView;
use service::uploads::UploadView;
use service::{Lang, Problem};
use wechat::template::check_value;

use super::apps::fields;
use crate::answer::{Answer, go, show, show_with, status};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::AppVisit;

/// A field of the template as it is written.
struct Field {
    key: String,
    label: String,
    kind: String,
    rule: &'static str,
    limit: Option<u32>,
    example: String,
    choices: Vec<String>,
    value: String,
    /// As the card of the first recipient shows it.
    shown: String,
    units: u32,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "compose.html")]
struct ComposePage {
    page: Page,
    templates: Vec<TemplateView>,
    chosen: String,
    form: Form,
    to: String,
    card: Card,
    variables: Vec<String>,
    uploads: Vec<UploadView>,
    errors: Vec<(String, String)>,
}

/// The card, and what is wrong with the fields.
#[derive(Template)]
#[template(path = "compose_preview.html")]
struct Preview {
    page: Page,
    card: Card,
}

/// How many it reaches. Apart from the card: it looks at everybody, and not at every key that is pressed.
#[derive(Template)]
#[template(path = "compose_forecast.html")]
struct ForecastPart {
    page: Page,
    forecast: Option<Result<Forecast, String>>,
}

/// What the card shows.
struct Card {
    app: String,
    title: String,
    fields: Vec<Field>,
    opens: bool,
}

pub(crate) async fn compose(visit: AppVisit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    visit.need(Right::Edit)?;
    Ok(show(&compose_page(&visit, Form::of(query), Vec::new()).await?))
}

async fn compose_page(
    visit: &AppVisit,
    form: Form,
    errors: Vec<(String, String)>,
) -> Result<ComposePage, Problem> {
    let page = Page::of_app(visit, "compose", "");
    let title = page.t("发消息", "Compose").to_owned();
    let service = visit.service();
    let templates: Vec<TemplateView> =
        service.templates(&visit.app).await?.into_iter().filter(|template| !template.gone).collect();
    let uploads: Vec<UploadView> =
        service.upload_views(&visit.app).await?.into_iter().filter(|upload| upload.report.ready).collect();
    let upload = uploads.iter().find(|upload| upload.upload_id == form.get("upload_id"));
    let to = match (form.get("to"), upload) {
        ("", Some(_)) => "upload".to_owned(),
        ("", None) => if visit.may(Right::Send) { "one" } else { "subscribers" }.to_owned(),
        (to, _) => to.to_owned(),
    };
    let asked = upload.and_then(|upload| {
        let of = upload.report.mapping.fields.keys();
        templates
            .iter()
            .find(|template| of.clone().all(|key| template.fields.iter().any(|field| field.key == *key)))
    });
    let chosen = form
        .some("template_id")
        .or_else(|| asked.map(|template| template.id.clone()))
        .or_else(|| templates.first().map(|template| template.id.clone()))
        .unwrap_or_default();
    let template = templates.iter().find(|template| template.id == chosen);
    let card = card(visit, template, &form, upload, &errors);
    let mut variables: Vec<String> = visit.app.settings.attributes.keys().cloned().collect();
    variables.push("external_id".to_owned());
    if let Some(upload) = upload {
        variables.splice(0..0, upload.report.columns.iter().map(|column| column.name.clone()));
    }
    Ok(ComposePage {
        page: Page { title, ..page },
        templates,
        chosen,
        form,
        to,
        card,
        variables,
        uploads,
        errors,
    })
}

/// The fields with what was written, and what is wrong with it.
fn card(
    visit: &AppVisit,
    template: Option<&TemplateView>,
    form: &Form,
    upload: Option<&UploadView>,
    errors: &[(String, String)],
) -> Card {
    let lang = visit.lang;
    let field = |field: &wechat::template::Field| {
        let mut value = form.get(&format!("f.{}", field.key)).to_owned();
        if value.is_empty()
            && let Some(column) = upload.and_then(|upload| upload.report.mapping.fields.get(&field.key))
        {
            value = format!("{{{{{column}}}}}");
        }
        let pointer = format!("data/{}", field.key);
        let told = errors.iter().find(|(name, _)| *name == pointer).map(|(_, text)| text.clone());
        // A placeholder is checked when it is filled.
        let checked = (!value.is_empty() && !value.contains("{{"))
            .then(|| check_value(&field.kind, &value, &field.enum_values))
            .and_then(|problems| problems.first().map(|problem| said(field, problem, lang)));
        Field {
            key: field.key.clone(),
            label: if field.label.is_empty() { field.key.clone() } else { field.label.clone() },
            kind: field.kind.name(lang).to_owned(),
            rule: field.kind.rule(lang),
            limit: field.kind.limit(),
            example: field.example.clone(),
            choices: field.enum_values.clone(),
            shown: shown(&value, upload),
            units: wechat::template::units(&value),
            error: told.or(checked),
            value,
        }
    };
    Card {
        app: visit.app.name.clone(),
        title: template.map(|template| template.title.clone()).unwrap_or_default(),
        fields: template.map(|template| template.fields.iter().map(field).collect()).unwrap_or_default(),
        opens: !form.get("page").is_empty(),
    }
}

/// A text with the first row's values in place of its placeholders; those with a format stay.
fn shown(text: &str, upload: Option<&UploadView>) -> String {
    let columns = upload.map(|upload| upload.report.columns.as_slice()).unwrap_or_default();
    columns.iter().fold(text.to_owned(), |text, column| {
        let first = column.samples.first().map_or("", String::as_str);
        text.replace(&format!("{{{{{}}}}}", column.name), first)
    })
}

fn said(field: &wechat::template::Field, problem: &wechat::template::ValueProblem, lang: Lang) -> String {
    wechat::template::FieldProblem {
        key: field.key.clone(),
        code: problem.code,
        field: Some(field.clone()),
        limit: problem.limit,
        length: problem.length,
        suggestion: None,
    }
    .detail(lang)
}

/// Card and checks of what stands in the form now.
pub(crate) async fn preview(visit: AppVisit, form: Form) -> Answer {
    visit.need(Right::Edit)?;
    let service = visit.service();
    let templates = service.templates(&visit.app).await?;
    let template = templates.iter().find(|template| template.id == form.get("template_id"));
    let mut upload = None;
    if let Ok(id) = form.get("upload_id").parse()
        && form.get("to") == "upload"
    {
        upload = Some(service.upload_view(&visit.app, id).await?);
    }
    let card = card(&visit, template, &form, upload.as_ref(), &[]);
    Ok(show(&Preview { page: Page::of_app(&visit, "compose", ""), card }))
}

/// The forecast of what stands in the form now.
pub(crate) async fn forecast(visit: AppVisit, form: Form) -> Answer {
    visit.need(Right::Edit)?;
    let mut forecast = None;
    if form.get("to") != "one"
        && let Ok(request) = serde_json::from_value(request(&form, true))
    {
        let counted = visit.service().forecast_request(&visit.app, request).await;
        forecast = Some(counted.map_err(|problem| problem.detail(visit.lang).to_owned()));
    }
    Ok(show(&ForecastPart { page: Page::of_app(&visit, "compose", ""), forecast }))
}

/// A message goes out; a campaign becomes a draft, with its forecast before the button.
pub(crate) async fn submit(visit: AppVisit, form: Form) -> Answer {
    visit.need(Right::Edit)?;
    let service = visit.service();
    let by = visit.operator.principal();
    let asked = request(&form, false);
    let done = if form.get("to") == "one" {
        visit.need(Right::Send)?;
        match read(asked) {
            Ok(request) => {
                match service.send(&visit.app, request, form.some("once").as_deref(), visit.lang).await {
                    Ok(sent) => {
                        visit.did("POST messages", Some(&sent.message.id)).await;
                        Ok(visit.path(&format!("messages/{}?done=sent", sent.message.id)))
                    }
                    Err(problem) => Err(problem),
                }
            }
            Err(problem) => Err(problem),
        }
    } else {
        match read(asked) {
            Ok(request) => {
                match service.draft_campaign(&visit.app, request, &by, form.some("once").as_deref()).await {
                    Ok(drafted) => {
                        visit.did("POST campaigns", Some(&drafted.campaign.id)).await;
                        Ok(visit.path(&format!("campaigns/{}", drafted.campaign.id)))
                    }
                    Err(problem) => Err(problem),
                }
            }
            Err(problem) => Err(problem),
        }
    };
    match done {
        Ok(path) => Ok(go(&path)),
        Err(problem) => {
            let errors = fields(&problem, visit.lang);
            Ok(show_with(status(problem.kind), &compose_page(&visit, form, errors).await?))
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(asked: Value) -> Result<T, Problem> {
    serde_json::from_value(asked).map_err(|error| {
        Problem::new(
            service::Kind::Invalid,
            "invalid_body",
            format!("表单的内容有误：{error}"),
            format!("The form is not as it should be: {error}"),
        )
    })
}

/// The form as a request of the interface. For a preview what is not written yet is left out.
fn request(form: &Form, preview: bool) -> Value {
    let mut asked = Map::new();
    let data: BTreeMap<String, String> =
        form.below("f.").into_iter().filter(|(_, value)| !value.is_empty()).collect();
    asked.insert("template_id".into(), form.get("template_id").into());
    asked.insert("data".into(), json!(data));
    for name in ["page", "miniprogram_state", "on_empty_balance"] {
        if let Some(value) = form.some(name) {
            asked.insert(name.into(), value.into());
        }
    }
    for name in ["send_at", "expire_at"] {
        if let Some(value) = form.some(name).filter(|_| !preview) {
            asked.insert(name.into(), shanghai(&value).into());
        }
    }
    if form.get("to") == "one" {
        let who = form.get("openid");
        let to = match form.get("by") {
            "" | "openid" => json!(who),
            "external_id" => json!({ "external_id": who }),
            attribute => json!({ "attribute": { attribute: who } }),
        };
        asked.insert("to".into(), to);
        return Value::Object(asked);
    }
    let audience = match form.get("to") {
        "segment" => {
            let tags: Vec<&str> = form
                .get("tags")
                .split([',', '，', ' '])
                .map(str::trim)
                .filter(|tag| !tag.is_empty())
                .collect();
            let mut audience = json!({ "kind": "segment", "tags": tags });
            if let (Some(attr), Some(value)) = (form.some("where_attr"), form.some("where_value")) {
                let op = form.some("where_op").unwrap_or_else(|| "eq".to_owned());
                let value: Value = match (op.as_str(), value.parse::<f64>()) {
                    ("lt" | "lte" | "gt" | "gte", Ok(number)) => json!(number),
                    _ => value.into(),
                };
                audience["where"] = json!({ "attr": attr, "op": op, "value": value });
            }
            audience
        }
        "upload" => json!({ "kind": "upload", "upload_id": form.get("upload_id") }),
        _ => json!({ "kind": "subscribers" }),
    };
    asked.insert("audience".into(), audience);
    let name = form.some("name").or_else(|| preview.then(|| "…".to_owned())).unwrap_or_default();
    asked.insert("name".into(), name.into());
    if let Some(rate) = form.get("rate_per_second").parse::<u32>().ok().filter(|rate| *rate > 0) {
        asked.insert("rate_per_second".into(), rate.into());
    }
    if let (Some(from), Some(to)) = (form.some("window_from"), form.some("window_to")) {
        asked.insert("window".into(), json!({ "from": from, "to": to }));
    }
    if let Ok(minutes) = form.get("late_minutes").parse::<u32>() {
        asked.insert("misfire".into(), json!({ "late_minutes": minutes }));
    }
    Value::Object(asked)
}

/// A moment as a form has it, in the time that operators read.
fn shanghai(text: &str) -> String {
    match text.len() {
        16 => format!("{text}:00+08:00"),
        19 => format!("{text}+08:00"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes())
    }

    #[test]
    fn a_form_becomes_a_request() {
        let one = request(
            &form("to=one&template_id=T&f.thing8=a&f.thing5=&openid=o1&send_at=2026-11-23T20:00"),
            false,
        );
        assert_eq!(
            one,
            json!({ "template_id": "T", "data": { "thing8": "a" }, "to": "o1", "send_at": "2026-11-23T20:00:00+08:00" })
        );
        let some = request(
            &form(
                "to=segment&template_id=T&name=N&tags=a,+b&where_attr=age&where_op=gte&where_value=60&window_from=08:00&window_to=21:00",
            ),
            false,
        );
        assert_eq!(some["audience"]["tags"], json!(["a", "b"]));
        assert_eq!(some["audience"]["where"], json!({ "attr": "age", "op": "gte", "value": 60.0 }));
        assert_eq!(some["window"]["to"], "21:00");
        serde_json::from_value::<service::campaigns::CampaignRequest>(some).unwrap();
    }
}

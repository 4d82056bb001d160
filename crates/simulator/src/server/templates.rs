//! `GET /wxaapi/newtmpl/gettemplate`: the app's own templates.

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use serde_json::{Value, json};

use super::{
    faulty::{self, Act, Done},
    send::authorised,
};
use crate::{
    Simulator,
    api::{FaultOn, TemplateKind},
    state::Template,
};

pub(super) async fn list(State(sim): State<Simulator>, RawQuery(query): RawQuery) -> Response {
    let app = match authorised(&sim, query.as_deref()) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let data: Vec<Value> = app.settings().templates.iter().map(|template| describe(template)).collect();
    let text = json!({"errcode": 0, "errmsg": "ok", "data": data}).to_string();
    faulty::call(&sim, &app, FaultOn::Gettemplate, Act::WithToken, || Done::said(Ok(text))).await
}

/// WeChat's `type`.
pub(super) fn kind_number(kind: TemplateKind) -> u8 {
    match kind {
        TemplateKind::OneTime => 2,
        TemplateKind::LongTerm => 3,
    }
}

fn describe(template: &Template) -> Value {
    let spec = &template.spec;
    let mut described = json!({
        "priTmplId": spec.id,
        "title": spec.title,
        "content": spec.content,
        "example": spec.example,
        "type": kind_number(spec.kind),
    });
    if !spec.enums.is_empty() {
        let lists: Vec<Value> = spec
            .enums
            .iter()
            .map(|(key, values)| json!({"keywordCode": format!("{key}.DATA"), "enumValueList": values}))
            .collect();
        described["keywordEnumValueList"] = json!(lists);
    }
    described
}

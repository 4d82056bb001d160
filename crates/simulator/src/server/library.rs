//! The public template library and what is taken from it: `/wxaapi/newtmpl/` but for gettemplate.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    answer,
    faulty::{self, Act, Done},
    query,
    send::authorised,
    templates::kind_number,
};
use crate::{
    Simulator,
    api::FaultOn,
    state::{App, library},
};

type Said = Result<Value, i32>;

/// One call: who asks, then what it says.
async fn call(
    sim: &Simulator,
    query: Option<&str>,
    on: FaultOn,
    act: impl FnOnce(&Arc<App>) -> Said,
) -> Response {
    let app = match authorised(sim, query) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let act = || {
        Done::said(match act(&app) {
            Ok(mut answer) => {
                answer["errcode"] = json!(0);
                answer["errmsg"] = json!("ok");
                Ok(answer.to_string())
            }
            Err(errcode) => Err(answer::error_text(sim, errcode, errmsg(errcode))),
        })
    };
    faulty::call(sim, &app, on, Act::WithToken, act).await
}

fn errmsg(errcode: i32) -> &'static str {
    match errcode {
        47001 => "data format error",
        200_012 => "private template count is over the limit",
        200_014 => "tid or priTmplId is invalid",
        200_016 => "start is invalid",
        200_017 => "limit is invalid",
        200_018 => "ids is missing",
        200_019 => "ids is invalid",
        200_020 => "kidList is invalid",
        200_021 => "sceneDesc is invalid",
        200_022 => "the same template exists",
        _ => "invalid argument",
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, i32> {
    serde_json::from_slice(body).map_err(|_| 47001)
}

pub(super) async fn categories(State(sim): State<Simulator>, RawQuery(query): RawQuery) -> Response {
    let all = |_: &Arc<App>| {
        let data = library::CATEGORIES.iter().map(|one| json!({"id": one.id, "name": one.name}));
        Ok(json!({"data": data.collect::<Vec<_>>()}))
    };
    call(&sim, query.as_deref(), FaultOn::Getcategory, all).await
}

pub(super) async fn titles(State(sim): State<Simulator>, RawQuery(query): RawQuery) -> Response {
    let value = |name| query::value(query.as_deref(), name).unwrap_or_default();
    let page = |_: &Arc<App>| {
        let ids = value("ids");
        if ids.is_empty() {
            return Err(200_018);
        }
        let ids: Result<Vec<u32>, _> = ids.split(',').map(|id| id.trim().parse()).collect();
        let ids = ids.map_err(|_| 200_019)?;
        if !ids.iter().all(|id| library::CATEGORIES.iter().any(|one| one.id == *id)) {
            return Err(200_019);
        }
        let start: usize = value("start").parse().map_err(|_| 200_016)?;
        let limit: usize = value("limit").parse().map_err(|_| 200_017)?;
        if !(1..=30).contains(&limit) {
            return Err(200_017);
        }
        let all: Vec<_> = library::TITLES.iter().filter(|one| ids.contains(&one.category)).collect();
        let data = all.iter().skip(start).take(limit).map(|one| {
            json!({"tid": one.tid, "title": one.title, "type": kind_number(one.kind),
                "categoryId": one.category.to_string()})
        });
        Ok(json!({"count": all.len(), "data": data.collect::<Vec<_>>()}))
    };
    call(&sim, query.as_deref(), FaultOn::Getpubtemplatetitles, page).await
}

pub(super) async fn keywords(State(sim): State<Simulator>, RawQuery(query): RawQuery) -> Response {
    let tid = query::value(query.as_deref(), "tid").unwrap_or_default();
    let all = |_: &Arc<App>| {
        let title = library::title(&tid).ok_or(200_014)?;
        let data = title
            .keywords
            .iter()
            .map(|one| json!({"kid": one.kid, "name": one.name, "example": one.example, "rule": one.rule}));
        Ok(json!({"count": title.keywords.len(), "data": data.collect::<Vec<_>>()}))
    };
    call(&sim, query.as_deref(), FaultOn::Getpubtemplatekeywords, all).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Add {
    #[serde(default)]
    tid: Value,
    #[serde(default)]
    kid_list: Value,
    #[serde(default)]
    scene_desc: String,
}

pub(super) async fn add(State(sim): State<Simulator>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let added = |app: &Arc<App>| {
        let add: Add = read(&body)?;
        let tid = add.tid.as_str().map_or_else(|| add.tid.to_string(), str::to_owned);
        let kids: Vec<u32> = serde_json::from_value(add.kid_list).map_err(|_| 200_020)?;
        let id = sim.add_template(app, &tid, &kids, &add.scene_desc)?;
        Ok(json!({"priTmplId": id}))
    };
    call(&sim, query.as_deref(), FaultOn::Addtemplate, added).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delete {
    #[serde(default)]
    pri_tmpl_id: String,
}

pub(super) async fn delete(State(sim): State<Simulator>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let deleted = |app: &Arc<App>| {
        let delete: Delete = read(&body)?;
        sim.delete_template(app, &delete.pri_tmpl_id)?;
        Ok(json!({}))
    };
    call(&sim, query.as_deref(), FaultOn::Deltemplate, deleted).await
}

//! From what was typed (and a CSV) to the request for a draft.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use service::campaigns::CampaignRequest;

use super::arguments::Create;
use crate::locale::say;

/// Columns by which a recipient is named.
const NAMED_BY: [&str; 3] = ["openid", "to", "external_id"];

pub(super) fn request(create: Create) -> anyhow::Result<CampaignRequest> {
    let uploaded = create.upload.as_ref().map(|id| json!({ "kind": "upload", "upload_id": id }));
    let audience = match (&create.recipients, create.tags.is_empty() && create.condition.is_none()) {
        (Some(file), _) => json!({ "kind": "recipients", "recipients": recipients(file)? }),
        (None, true) => uploaded.unwrap_or_else(|| json!({ "kind": "subscribers" })),
        (None, false) => {
            let condition: Option<Value> = create
                .condition
                .as_deref()
                .map(serde_json::from_str)
                .transpose()
                .context(say("--where 不是有效的 JSON", "--where is not JSON"))?;
            json!({ "kind": "segment", "tags": create.tags, "where": condition })
        }
    };
    let window = create.window.as_deref().map(window).transpose()?;
    let data: Map<String, Value> = create.data.into_iter().map(|(key, value)| (key, value.into())).collect();
    let mut asked = json!({
        "name": create.name, "template_id": create.template, "data": data, "page": create.page, "audience": audience,
        "send_at": create.send_at, "expire_at": create.expire_at,
    });
    if let Some(rate) = create.rate {
        asked["rate_per_second"] = rate.into();
    }
    if let Some(window) = window {
        asked["window"] = window;
    }
    if create.try_all {
        asked["on_empty_balance"] = "try".into();
    }
    Ok(serde_json::from_value(asked)?)
}

fn window(text: &str) -> anyhow::Result<Value> {
    let Some((from, to)) = text.split_once('-') else {
        bail!(say("--window 写作 08:00-21:00", "--window is written 08:00-21:00"));
    };
    Ok(json!({ "from": from.trim(), "to": to.trim() }))
}

fn recipients(file: &Path) -> anyhow::Result<Vec<Value>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    }
    let text = String::from_utf8(bytes)
        .context(say("名单不是 UTF-8：请另存为“CSV UTF-8”", "the list is not UTF-8: save it as CSV UTF-8"))?;
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let heads: Vec<String> = reader.headers()?.iter().map(|head| head.trim().to_owned()).collect();
    let Some(named_by) = heads.iter().position(|head| NAMED_BY.contains(&head.as_str())) else {
        bail!(say(
            "名单的表头里没有 openid（或 to、external_id）这一列",
            "the list's first line has no column openid (or to, external_id)",
        ));
    };
    let mut all = Vec::new();
    for row in reader.records() {
        let row = row?;
        let given = row.get(named_by).unwrap_or_default().trim();
        let to =
            if heads[named_by] == "external_id" { json!({ "external_id": given }) } else { given.into() };
        let vars: Map<String, Value> = heads
            .iter()
            .zip(&row)
            .enumerate()
            .filter(|(at, _)| *at != named_by)
            .map(|(_, (head, cell))| (head.clone(), cell.into()))
            .collect();
        all.push(json!({ "to": to, "vars": vars }));
    }
    Ok(all)
}

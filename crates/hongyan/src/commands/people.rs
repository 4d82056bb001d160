//! `hongyan subscriber` and `hongyan guest`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use service::people::{PersonRequest, PersonView};

use super::{principal, service_beside};
use crate::cli::{Global, pair};
use crate::locale::{lang, say};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Subscriber {
    /// Keeps what is known of a person, in place of what was
    Set(Set),
    /// Shows a person
    Show {
        /// The AppID
        app_id: String,
        /// The openid
        openid: String,
    },
    /// Lists people
    List {
        /// The AppID
        app_id: String,
        /// Whoever has this external id
        #[arg(long)]
        external_id: Option<String>,
        /// Whoever has this value of a key attribute: room=3-1201
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair, conflicts_with = "external_id")]
        attribute: Option<(String, String)>,
        /// Only those with this tag
        #[arg(long)]
        tag: Option<String>,
    },
    /// Keeps the people of a CSV: openid, external_id, unionid, tags, and any attributes
    Import {
        /// The AppID
        app_id: String,
        /// The file
        file: PathBuf,
    },
    /// Prints everything kept of a person, as JSON
    Export {
        /// The AppID
        app_id: String,
        /// The openid
        openid: String,
    },
    /// Erases a person everywhere
    Remove {
        /// The AppID
        app_id: String,
        /// The openid
        openid: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The AppID
    app_id: String,
    /// The openid
    openid: String,
    /// The team's own number
    #[arg(long)]
    external_id: Option<String>,
    /// WeChat's number across apps
    #[arg(long)]
    unionid: Option<String>,
    /// A tag
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// An attribute: room=3-1201
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = pair)]
    attributes: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Guest {
    /// Adds somebody who receives while the app is on trial
    Add {
        /// The AppID
        app_id: String,
        /// The openid
        openid: String,
        /// Whose telephone that is
        #[arg(long)]
        note: Option<String>,
    },
    /// Lists them
    List {
        /// The AppID
        app_id: String,
    },
    /// Removes somebody
    Remove {
        /// The AppID
        app_id: String,
        /// The openid
        openid: String,
    },
}

pub(crate) async fn subscriber(global: &Global, command: Subscriber) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    match command {
        Subscriber::Set(set) => {
            let app = service.app(&set.app_id).await?;
            let attributes: Map<String, Value> =
                set.attributes.into_iter().map(|(name, value)| (name, value.into())).collect();
            let request = PersonRequest {
                openid: None,
                external_id: set.external_id,
                unionid: set.unionid,
                tags: set.tags,
                attributes,
            };
            let (person, _) = service.put_person(&app, &set.openid, request).await?;
            show(global, &[person])
        }
        Subscriber::Show { app_id, openid } => {
            let app = service.app(&app_id).await?;
            show(global, &[service.person(&app, &openid).await?])
        }
        Subscriber::List { app_id, external_id, attribute, tag } => {
            let app = service.app(&app_id).await?;
            let by_id = external_id.as_deref().map(|value| (store::people::EXTERNAL_ID, value));
            let by_attribute = attribute.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let found_by = by_id.or(by_attribute);
                let (people, next) = service.people(&app, found_by, tag.as_deref(), after, 500).await?;
                all.extend(people);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            show(global, &all)
        }
        Subscriber::Import { app_id, file } => {
            let app = service.app(&app_id).await?;
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            let rows = service::csv::table(&bytes)
                .context(say("不是 UTF-8 编码、第一行为表头的 CSV", "not a CSV in UTF-8 with a head"))?;
            let imported = service.import_people(&app, rows, lang()).await?;
            if global.json {
                output::json(&serde_json::to_value(&imported)?);
            } else {
                output::line(&format!("{} / {}", imported.kept, imported.rows));
                for error in &imported.errors {
                    output::remark(&format!("{}: {} ({})", error.row, error.detail, error.code));
                }
            }
            anyhow::ensure!(imported.errors.is_empty(), say("有些行没有导入", "some rows were not taken"));
            Ok(())
        }
        Subscriber::Export { app_id, openid } => {
            let app = service.app(&app_id).await?;
            output::json(&service.export_person(&app, &openid, &principal(), lang()).await?);
            Ok(())
        }
        Subscriber::Remove { app_id, openid } => {
            let app = service.app(&app_id).await?;
            output::json(&serde_json::to_value(service.erase_person(&app, &openid).await?)?);
            Ok(())
        }
    }
}

fn show(global: &Global, people: &[PersonView]) -> anyhow::Result<()> {
    if global.json {
        output::json(&serde_json::to_value(people)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = people
        .iter()
        .map(|person| {
            vec![
                person.openid.clone(),
                person.external_id.clone().unwrap_or_default(),
                person.tags.join(","),
                Value::Object(person.attributes.clone()).to_string(),
            ]
        })
        .collect();
    output::table(&["OPENID", "EXTERNAL_ID", say("标签", "TAGS"), say("属性", "ATTRIBUTES")], &rows);
    Ok(())
}

pub(crate) async fn guest(global: &Global, command: Guest) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    match command {
        Guest::Add { app_id, openid, note } => {
            let app = service.app(&app_id).await?;
            service.put_guest(&app, &openid, note).await?;
        }
        Guest::List { app_id } => {
            let app = service.app(&app_id).await?;
            let guests = service.guests(&app).await?;
            if global.json {
                output::json(&serde_json::to_value(&guests)?);
            } else {
                let rows: Vec<Vec<String>> = guests
                    .into_iter()
                    .map(|guest| vec![guest.openid, guest.note.unwrap_or_default()])
                    .collect();
                output::table(&["OPENID", say("备注", "NOTE")], &rows);
            }
        }
        Guest::Remove { app_id, openid } => {
            let app = service.app(&app_id).await?;
            service.remove_guest(&app, &openid).await?;
        }
    }
    Ok(())
}

//! `hongyan ledger`: who has which grants and why, corrections, grants from elsewhere.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use service::grants::{ByHandKind, EntryRequest};

use super::{principal, service_beside};
use crate::cli::Global;
use crate::locale::{lang, say};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Explains the balance of one person and template, entry by entry
    Show {
        /// The AppID
        app_id: String,
        /// The openid
        openid: String,
        /// The template's id
        template: String,
    },
    /// Corrects a balance
    Adjust {
        /// The AppID
        app_id: String,
        /// The openid
        openid: String,
        /// The template's id
        template: String,
        /// How many to add, or (negative) to take
        #[arg(long, allow_hyphen_values = true)]
        delta: i64,
        /// Why
        #[arg(long)]
        note: String,
    },
    /// Takes grants over: a CSV with openid, template_id, count and (where you like) note
    Import {
        /// The AppID
        app_id: String,
        /// The file
        file: PathBuf,
        /// Leaves rows with mistakes out, instead of writing nothing
        #[arg(long)]
        skip_bad: bool,
    },
}

pub(crate) async fn run(global: &Global, command: Ledger) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    match command {
        Ledger::Show { app_id, openid, template } => {
            let app = service.app(&app_id).await?;
            let entries = service.ledger_of(&app, &openid, &template, lang()).await?;
            let summary = service.balance_of(&app, &openid, &template, lang()).await?;
            if global.json {
                output::json(&serde_json::json!({ "items": entries, "summary": summary }));
                return Ok(());
            }
            let rows: Vec<Vec<String>> = entries
                .iter()
                .map(|entry| {
                    vec![
                        entry.at.clone(),
                        entry.kind.to_owned(),
                        format!("{:+}", entry.delta),
                        entry.balance.to_string(),
                        entry.explanation.clone(),
                        entry.note.clone().unwrap_or_default(),
                    ]
                })
                .collect();
            output::table(
                &[
                    say("时间", "AT"),
                    say("类型", "KIND"),
                    say("变动", "DELTA"),
                    say("余额", "BALANCE"),
                    say("依据", "EVIDENCE"),
                    say("备注", "NOTE"),
                ],
                &rows,
            );
            match summary {
                Some(summary) => output::line(&summary.explanation),
                None => output::remark(say(
                    "没有这个用户对该模板的记录。",
                    "Nothing is known of this person and template.",
                )),
            }
        }
        Ledger::Adjust { app_id, openid, template, delta, note } => {
            let app = service.app(&app_id).await?;
            let request = EntryRequest {
                openid,
                template_id: template,
                kind: ByHandKind::Adjust,
                delta: Some(delta),
                count: None,
                note: Some(note),
            };
            let written = service.write_entries(&app, vec![request], &principal(), None).await?;
            for verdict in written.verdicts {
                let written = verdict?;
                output::line(&format!("{}  {}", written.balance, written.certainty));
            }
        }
        Ledger::Import { app_id, file, skip_bad } => {
            let app = service.app(&app_id).await?;
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            let rows = service::csv::table(&bytes)
                .context(say("不是 UTF-8 编码、第一行为表头的 CSV", "not a CSV in UTF-8 with a head"))?;
            let imported = service.import_grants(&app, rows, skip_bad, &principal(), lang()).await?;
            if global.json {
                output::json(&serde_json::to_value(&imported)?);
            } else {
                output::line(&format!("{} / {}", imported.kept, imported.rows));
                for error in &imported.errors {
                    output::remark(&format!("{}: {} ({})", error.row, error.detail, error.code));
                }
            }
            anyhow::ensure!(imported.errors.is_empty(), say("有些行没有导入", "some rows were not taken"));
        }
    }
    Ok(())
}

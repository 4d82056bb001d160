//! `hongyan import subs`: the table that a team's own server kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use service::import::{SubsReport, SubsRequest};

use super::{principal, service_beside};
use crate::cli::{Global, pair};
use crate::locale::{lang, say};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Takes the accepts of a table of subscribe events over (tbl_wechat_sub: one row per user) as grants; shows what it would do
    Subs(Subs),
}

#[derive(Debug, Args)]
pub(crate) struct Subs {
    /// The AppID
    app_id: String,
    /// The table: CSV with a head, in UTF-8 or GB18030
    file: PathBuf,
    /// Which column holds what: openid=HEAD; also template, time, status, event, app, count
    #[arg(long = "column", value_name = "FIELD=HEAD", value_parser = pair)]
    columns: Vec<(String, String)>,
    /// The template of every row, where the table has no column of it
    #[arg(long, value_name = "ID")]
    template: Option<String>,
    /// In which zone its times are meant [default: Asia/Shanghai]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Writes; without it, nothing is changed
    #[arg(long)]
    apply: bool,
}

/// Rows between two lines that say how far it is.
const TOLD: u64 = 100_000;

pub(crate) async fn run(global: &Global, command: Import) -> anyhow::Result<()> {
    let Import::Subs(subs) = command;
    let service = service_beside(global).await?;
    let app = service.app(&subs.app_id).await?;
    let file = File::open(&subs.file).with_context(|| subs.file.display().to_string())?;
    let name = subs.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let request = SubsRequest {
        name,
        columns: subs.columns.into_iter().collect::<BTreeMap<_, _>>(),
        template_id: subs.template,
        time_zone: subs.time_zone,
        apply: subs.apply,
    };
    let quiet = global.json;
    let report = service
        .import_subs(&app, file, request, (&principal(), lang()), |rows| {
            if rows % TOLD == 0 && !quiet {
                output::remark(&rows.to_string());
            }
        })
        .await?;
    if subs.apply {
        let counts = format!("{} +{}", report.imported, report.grants);
        service.note(&principal(), Some(&app), "import subs", Some(&counts)).await;
    }
    if global.json {
        output::json(&serde_json::to_value(&report)?);
    } else {
        show(&report);
    }
    anyhow::ensure!(!subs.apply || report.bad == 0, say("有些行没有导入", "some rows were not taken"));
    Ok(())
}

fn show(report: &SubsReport) {
    let rows = [
        (say("行", "rows"), report.rows),
        (say("计入", "count"), report.imported),
        (say("以前已计入", "counted before"), report.already_counted),
        (say("之后已拒收或失效", "refused or gone since"), report.superseded),
        (say("不是接受", "no accepts"), report.not_accepted),
        (say("有误", "with a mistake"), report.bad),
    ];
    for (what, count) in rows {
        output::line(&format!("{count:>9}  {what}"));
    }
    for (template, count) in &report.by_template {
        output::line(&format!("{count:>9}  {template}"));
    }
    for error in &report.errors {
        output::remark(&format!("{}: {} ({})", error.row, error.detail, error.code));
    }
    if report.bad > report.errors.len() as u64 {
        output::remark(&format!("… {}", report.bad - report.errors.len() as u64));
    }
    output::remark(&format!(
        "{} {}  {}",
        say("编码", "encoding"),
        report.encoding,
        if report.applied {
            say(
                "已导入；余额标为“次数不明”，发送时以微信为准。",
                "Imported; the balances are unverified: WeChat decides when they are tried.",
            )
        } else {
            say("以上是预演，没有写入；加 --apply 导入。", "Nothing was written; with --apply it is.")
        }
    ));
}

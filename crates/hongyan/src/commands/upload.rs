//! `hongyan upload`: spreadsheets of recipients, from the file to "ready".

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Map, Value, json};
use service::uploads::{UploadRequest, UploadView};
use uuid::Uuid;

use super::{principal, service_beside};
use crate::cli::{Global, pair};
use crate::locale::{lang, say};
use crate::output;

/// Errors that are printed; all of them are in --json.
const PRINTED: usize = 20;

#[derive(Debug, Subcommand)]
pub(crate) enum Upload {
    /// Reads a spreadsheet and says what was found; nothing is sent
    Add {
        /// The AppID
        app_id: String,
        /// XLSX, XLS, HTML, CSV or text
        file: PathBuf,
        #[command(flatten)]
        asked: Asked,
    },
    /// Reads it again, with other columns or answers
    Set {
        /// The AppID
        app_id: String,
        /// The upload's id
        upload: Uuid,
        #[command(flatten)]
        asked: Asked,
    },
    /// Shows what was found
    Show {
        /// The AppID
        app_id: String,
        /// The upload's id
        upload: Uuid,
    },
    /// Lists the latest
    List {
        /// The AppID
        app_id: String,
    },
    /// Forgets one; campaigns that were made of it keep their rows
    Remove {
        /// The AppID
        app_id: String,
        /// The upload's id
        upload: Uuid,
    },
    /// Writes the empty sheet of a template
    Blank {
        /// The AppID
        app_id: String,
        /// The template's id
        template: String,
        /// Where to
        #[arg(long, short, default_value = "recipients.xlsx")]
        output: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// The template that it is for
    #[arg(long, value_name = "ID")]
    template: Option<String>,
    /// Which sheet
    #[arg(long)]
    sheet: Option<String>,
    /// The row with the names of the columns; 0: there is none
    #[arg(long, value_name = "N")]
    header_row: Option<u32>,
    /// The column that says who, and by what: 手机号=phone
    #[arg(long, value_name = "COLUMN=BY", value_parser = pair)]
    key: Option<(String, String)>,
    /// A field and its column, with a format where one is wanted: amount3='金额|money'
    #[arg(long = "field", value_name = "FIELD=COLUMN", value_parser = pair)]
    fields: Vec<(String, String)>,
    /// An answer to what was asked: hidden_rows=leave_out
    #[arg(long = "answer", value_name = "QUESTION=CHOICE", value_parser = pair)]
    answers: Vec<(String, String)>,
}

impl Asked {
    fn json(self) -> Map<String, Value> {
        let mut asked = Map::new();
        let given = [
            ("template_id", self.template.map(Value::from)),
            ("sheet", self.sheet.map(Value::from)),
            ("header_row", self.header_row.map(Value::from)),
        ];
        asked.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let fields: Map<String, Value> =
            self.fields.into_iter().map(|(field, column)| (field, column.into())).collect();
        if self.key.is_some() || !fields.is_empty() {
            let mut mapping = json!({ "fields": fields });
            if let Some((column, by)) = self.key {
                mapping["key"] = json!({ "column": column, "by": by });
            }
            asked.insert("mapping".to_owned(), mapping);
        }
        asked.extend(self.answers.into_iter().map(|(question, choice)| (question, choice.into())));
        asked
    }
}

pub(crate) async fn run(global: &Global, command: Upload) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    let view = match command {
        Upload::Add { app_id, file, asked } => {
            let app = service.app(&app_id).await?;
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let asked = UploadRequest::parse(Value::Object(asked.json()))?;
            service.upload(&app, &name, bytes, asked, &principal()).await?
        }
        Upload::Set { app_id, upload, asked } => {
            let app = service.app(&app_id).await?;
            service.read_upload_again(&app, upload, Value::Object(asked.json())).await?
        }
        Upload::Show { app_id, upload } => {
            let app = service.app(&app_id).await?;
            service.upload_view(&app, upload).await?
        }
        Upload::List { app_id } => {
            let app = service.app(&app_id).await?;
            return list(global, &service.upload_views(&app).await?);
        }
        Upload::Remove { app_id, upload } => {
            let app = service.app(&app_id).await?;
            return Ok(service.forget_upload(&app, upload).await?);
        }
        Upload::Blank { app_id, template, output } => {
            let app = service.app(&app_id).await?;
            let sheet = service.blank_sheet(&app, &template).await?;
            std::fs::write(&output, sheet).with_context(|| output.display().to_string())?;
            output::line(&output.display().to_string());
            return Ok(());
        }
    };
    show(global, &view);
    Ok(())
}

fn show(global: &Global, view: &UploadView) {
    let told = view.told(lang());
    if global.json {
        output::json(&told);
        return;
    }
    let report = &view.report;
    output::line(&format!("{}  {}", view.upload_id, view.name));
    let said = |zh: &str, en: &str| say(zh, en).to_owned();
    output::line(&said(
        &format!("{} 行，可发送 {} 行，共 {} 条消息", report.rows, report.valid, report.messages),
        &format!("{} rows, {} can be sent, {} messages", report.rows, report.valid, report.messages),
    ));
    if let Some(key) = &report.mapping.key {
        output::line(&format!("{}: {} = {}", say("收件人", "recipient"), key.column, key.by));
    }
    for (field, column) in &report.mapping.fields {
        output::line(&format!("{field}: {column}"));
    }
    for error in told["errors"].as_array().into_iter().flatten().take(PRINTED) {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        output::line(&format!(
            "{} {}  {}  {}",
            say("第", "row"),
            error["row"],
            text("column"),
            text("detail")
        ));
    }
    if report.duplicates > 0 {
        output::line(&format!("{}: {}", say("重复", "duplicates"), report.duplicates));
    }
    if report.unknown_recipients.count > 0 {
        output::line(&format!(
            "{}: {}",
            say("找不到收件人", "nobody has the key"),
            report.unknown_recipients.count
        ));
    }
    for question in told["questions"].as_array().into_iter().flatten() {
        let code = question["code"].as_str().unwrap_or_default();
        let choices: Vec<&str> =
            question["choices"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let answer = match (question["chosen"].as_str(), choices.is_empty()) {
            (Some(chosen), _) => format!("{code}={chosen}"),
            (None, true) => code.to_owned(),
            (None, false) => format!("--answer {code}={}", choices.join("|")),
        };
        output::line(&format!("? {}  [{answer}]", question["detail"].as_str().unwrap_or_default()));
    }
    output::line(if report.ready {
        say(
            "可以创建群发：hongyan campaign create … --upload ID",
            "Ready: hongyan campaign create … --upload ID",
        )
    } else {
        say("还不能群发。", "Not ready yet.")
    });
}

fn list(global: &Global, views: &[UploadView]) -> anyhow::Result<()> {
    if global.json {
        output::json(&views.iter().map(|view| view.told(lang())).collect());
        return Ok(());
    }
    let rows: Vec<Vec<String>> = views
        .iter()
        .map(|view| {
            let ready = if view.report.ready { say("就绪", "ready") } else { say("待处理", "open") };
            vec![
                view.upload_id.clone(),
                view.report.rows.to_string(),
                view.report.valid.to_string(),
                ready.to_owned(),
                view.created_at.clone(),
                view.name.clone(),
            ]
        })
        .collect();
    output::table(
        &[
            "ID",
            say("行", "ROWS"),
            say("可发送", "VALID"),
            say("状态", "STATE"),
            say("时间", "AT"),
            say("文件", "FILE"),
        ],
        &rows,
    );
    Ok(())
}

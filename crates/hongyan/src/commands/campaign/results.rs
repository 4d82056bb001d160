//! The closing lists on standard output: CSV, or a line of JSON for each recipient.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use domain::message::List;
use futures::StreamExt;
use service::campaigns::TOLD;
use service::{App, Service};
use uuid::Uuid;

use crate::cli::Global;
use crate::output;

pub(super) async fn print(
    global: &Global,
    service: &Service,
    (app, id): (&App, Uuid),
    list: Option<List>,
    workbook: Option<&Path>,
) -> anyhow::Result<()> {
    let (stored, pages) = service.campaign_results(app, id, list).await?;
    let columns = service.list_columns(&stored).await?;
    if let Some(file) = workbook {
        let bytes = service.results_workbook(&stored.asked.name, columns, pages).await?;
        return std::fs::write(file, bytes).with_context(|| file.display().to_string());
    }
    if !global.json {
        let mut head = vec!["row"];
        head.extend(columns.iter().map(|column| column.header.as_str()));
        head.extend(TOLD);
        write(&service::csv::head(&head))?;
    }
    let mut pages = std::pin::pin!(pages);
    while let Some(page) = pages.next().await {
        let page = page?;
        if global.json {
            for line in &page {
                output::line(&serde_json::to_string(line)?);
            }
        } else {
            write(&service::csv::results(&columns, &page))?;
        }
    }
    Ok(())
}

fn write(bytes: &[u8]) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(bytes)
}

//! A closing list as XLSX: the columns of the sheet as they were, and what became of each row.

use futures::{Stream, TryStreamExt};
use tokio::sync::mpsc;

use super::results::{Line, ListColumn};
use crate::Service;
use crate::problem::Problem;
use crate::uploads::unwritten;

/// Pages between reading and writing.
const AHEAD: usize = 4;

/// What is told of each row, after the columns of the sheet.
pub const TOLD: [&str; 6] = ["to", "external_id", "state", "reason", "errcode", "at"];

impl Line {
    /// The row as cells: its number, the columns of the sheet, what became of it.
    pub fn cells(&self, columns: &[ListColumn]) -> Vec<String> {
        let cell =
            |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut cells = vec![self.row.map(|row| row.to_string()).unwrap_or_default()];
        cells.extend(columns.iter().map(|column| self.vars.get(&column.name).map(cell).unwrap_or_default()));
        cells.extend([
            self.to.clone(),
            self.external_id.clone().unwrap_or_default(),
            self.state.to_owned(),
            self.reason.clone().unwrap_or_default(),
            self.errcode.map(|code| code.to_string()).unwrap_or_default(),
            self.at.clone(),
        ]);
        cells
    }
}

impl Service {
    /// The lines as a workbook; all cells are texts, so that a phone number stays one.
    ///
    /// # Errors
    /// Where a page cannot be read, or the disk is full.
    pub async fn results_workbook(
        &self,
        name: &str,
        columns: Vec<ListColumn>,
        lines: impl Stream<Item = Result<Vec<Line>, Problem>> + Send,
    ) -> Result<Vec<u8>, Problem> {
        let mut head = vec!["row".to_owned()];
        head.extend(columns.iter().map(|column| column.header.clone()));
        head.extend(TOLD.map(str::to_owned));
        let (pages, mut read) = mpsc::channel::<Vec<Line>>(AHEAD);
        let (name, directory) = (name.to_owned(), self.store.directory().to_owned());
        let writing = tokio::task::spawn_blocking(move || {
            let mut writer = sheets::write::Writer::new(&name, head, &directory)?;
            while let Some(lines) = read.blocking_recv() {
                for line in lines {
                    writer.row(line.cells(&columns).iter().map(String::as_str))?;
                }
            }
            writer.finish()
        });
        let mut lines = std::pin::pin!(lines);
        while let Some(page) = lines.try_next().await? {
            if pages.send(page).await.is_err() {
                break;
            }
        }
        drop(pages);
        writing.await.map_err(|error| unwritten(&error))?.map_err(|error| unwritten(&error))
    }
}

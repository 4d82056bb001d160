//! The empty sheet of a template: its fields as columns, ready to be filled in.

use crate::problem::{Kind, Problem};
use crate::{App, Service};

/// The column that says who, where no key attribute is registered.
const WHO: &str = "openid";

impl Service {
    /// An XLSX with a column per field of a template and one that says who.
    ///
    /// # Errors
    /// `template_not_found`.
    pub async fn blank_sheet(&self, app: &App, template_id: &str) -> Result<Vec<u8>, Problem> {
        let template = self.template(app, template_id).await?.ok_or_else(|| {
            Problem::new(
                Kind::NotFound,
                "template_not_found",
                format!("没有模板 {template_id}，请先同步模板。"),
                format!("There is no template {template_id}; sync the templates first."),
            )
        })?;
        let keys: Vec<&String> =
            app.settings.attributes.iter().filter(|(_, kind)| kind.key).map(|(name, _)| name).collect();
        let who = keys.first().map_or(WHO, |name| name.as_str()).to_owned();
        let columns =
            std::iter::once(who).chain(template.fields.iter().map(|field| field.label.clone())).collect();
        let title = template.title.clone();
        let directory = self.store.directory().to_owned();
        let made = tokio::task::spawn_blocking(move || {
            sheets::write::Writer::new(&title, columns, &directory)?.finish()
        });
        made.await.map_err(|error| unwritten(&error))?.map_err(|error| unwritten(&error))
    }
}

/// The disk is full, or the data directory cannot be written.
pub(crate) fn unwritten(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a sheet could not be written");
    Problem::new(
        Kind::Unavailable,
        "sheet_not_written",
        "暂时无法生成表格文件（磁盘已满或数据目录不可写），请稍后再试。",
        "The sheet could not be written (the disk is full, or the data directory cannot be written); try again later.",
    )
}

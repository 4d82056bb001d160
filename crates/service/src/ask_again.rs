//! Whom to ask again: people who have just spent their last grant of a template and did not refuse it.

use domain::Millis;
use serde::Serialize;

use crate::problem::{FieldError, Problem};
use crate::view::time;
use crate::{App, Service};

/// Entries of the ledger that one page looks at.
const EXAMINED: i64 = 10_000;

/// Somebody to ask again.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AskAgain {
    /// Who.
    pub openid: String,
    /// For which template.
    pub template_id: String,
    /// When the last grant was spent.
    pub spent_at: String,
}

impl Service {
    /// Those who spent their last grant since a moment, the latest first; and where the next page begins. A page may be short.
    ///
    /// # Errors
    /// `unknown_template`.
    pub async fn ask_again(
        &self,
        app: &App,
        template_id: &str,
        since: Millis,
        before: Option<i64>,
    ) -> Result<(Vec<AskAgain>, Option<i64>), Problem> {
        let template = self.template(app, template_id).await?.ok_or_else(|| {
            FieldError::new(
                "/template_id",
                "unknown_template",
                format!("没有模板 {template_id}。"),
                format!("There is no template {template_id}."),
            )
        })?;
        let (spent, next) = self.store.spent(template.number, since, before, EXAMINED).await?;
        let ask = |(openid, at): (String, Millis)| AskAgain {
            openid,
            template_id: template_id.to_owned(),
            spent_at: time(at),
        };
        Ok((spent.into_iter().map(ask).collect(), next))
    }
}

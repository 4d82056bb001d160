//! The operation log: who did what, in the console, by the API, on the command line.

use serde::Serialize;
use store::audit::Deed;

use crate::problem::Problem;
use crate::view::time;
use crate::{App, Service};

/// Something that somebody did.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DeedView {
    /// When.
    pub at: String,
    /// Who: `operator:NAME`, `key:NUMBER NAME`, `cli:USER`.
    pub principal: String,
    /// In which app.
    pub app_id: Option<String>,
    /// What: the call of the interface that does it, such as `POST campaigns/start`.
    pub act: String,
    /// To what.
    pub target: Option<String>,
}

impl Service {
    /// Notes what somebody did. That it could not be noted undoes nothing; it is said in the log.
    pub async fn note(&self, principal: &str, app: Option<&App>, act: &str, target: Option<&str>) {
        let deed = Deed {
            number: 0,
            at: self.now(),
            principal: principal.to_owned(),
            app: app.map(|app| app.number),
            act: act.to_owned(),
            target: target.map(str::to_owned),
        };
        if let Err(error) = self.store.note_deed(deed).await {
            tracing::error!(%error, principal, act, "a deed could not be written to the operation log");
        }
    }

    /// What was done, newest first, in one app or everywhere; and where the next page begins.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn deeds(
        &self,
        app: Option<&App>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<(Vec<DeedView>, Option<i64>), Problem> {
        let deeds = self.store.deeds(app.map(|app| app.number), before, limit).await?;
        let next = deeds.last().filter(|_| deeds.len() as i64 == limit).map(|deed| deed.number);
        let view = |deed: Deed| DeedView {
            at: time(deed.at),
            principal: deed.principal,
            app_id: deed.app.and_then(|app| Some(self.apps.by_number(app)?.app_id.clone())),
            act: deed.act,
            target: deed.target,
        };
        Ok((deeds.into_iter().map(view).collect(), next))
    }
}

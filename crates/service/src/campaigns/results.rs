//! The three closing lists, as a stream: the lanes' pages are merged by the line of the sheet, so that a list names
//! people in the order in which they were given, and no more than a page per lane is in memory.

use std::collections::{BTreeSet, VecDeque};

use domain::Lane;
use domain::message::List;
use futures::Stream;
use serde::Serialize;
use serde_json::{Map, Value};
use store::campaigns::{ResultFilter, ResultRow, StoredCampaign};
use uuid::Uuid;

use crate::problem::Problem;
use crate::view::time;
use crate::{App, Service};

/// Rows looked at in one reading of a lane.
const PAGE: i64 = 500;

/// Which list: one of the three, or everybody.
pub type ListName = Option<List>;

/// A recipient and what became of the message.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Line {
    /// The line of the given list.
    pub row: Option<i64>,
    /// The columns of the list.
    #[schema(value_type = Object)]
    pub vars: Map<String, Value>,
    /// The openid, as given or found.
    pub to: String,
    /// The team's own number, where the recipient was named by it.
    pub external_id: Option<String>,
    /// The message.
    pub message_id: String,
    /// Its state.
    pub state: &'static str,
    /// Why, in one word or WeChat's own words.
    pub reason: Option<String>,
    /// WeChat's errcode.
    pub errcode: Option<i64>,
    /// The latest that happened.
    pub at: String,
}

impl From<ResultRow> for Line {
    fn from(row: ResultRow) -> Self {
        let (external_id, given) = match row.given {
            Some((kind, given)) if kind == "openid" => (None, Some(given)),
            Some((kind, given)) if kind == "external_id" => (Some(given), None),
            // The key of another column stands in that column.
            Some((_, given)) => (None, Some(given)),
            None => (None, None),
        };
        let reason = match (row.reason, row.errmsg) {
            (Some(reason), Some(detail)) => Some(format!("{reason}: {detail}")),
            (reason, errmsg) => reason.or(errmsg),
        };
        Self {
            row: row.row,
            vars: row.vars.and_then(|vars| serde_json::from_str(&vars).ok()).unwrap_or_default(),
            to: if row.openid.is_empty() { given.unwrap_or_default() } else { row.openid },
            external_id,
            message_id: row.id.to_string(),
            state: row.state.as_str(),
            reason,
            errcode: row.errcode,
            at: time(row.at),
        }
    }
}

/// A column of the list that a campaign was made of.
#[derive(Debug, Clone)]
pub struct ListColumn {
    /// What stands above it.
    pub header: String,
    /// Its name among the values.
    pub name: String,
}

/// A lane on its way.
struct Reading {
    lane: Lane,
    after: Option<Uuid>,
    last: Uuid,
    page: VecDeque<ResultRow>,
}

impl Service {
    /// The names of the columns that a campaign's list has, in the order of their first appearance.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn list_columns(&self, campaign: &StoredCampaign) -> Result<Vec<ListColumn>, Problem> {
        let Some(list) = campaign.asked.list else { return Ok(Vec::new()) };
        if let Some(columns) = self.sheet_columns(campaign.asked.app, list).await? {
            return Ok(columns);
        }
        let (mut seen, mut columns, mut after) = (BTreeSet::new(), Vec::new(), 0);
        loop {
            let lines = self.store.listed(list, after, PAGE).await?;
            let Some(last) = lines.last() else {
                let named = |name: String| ListColumn { header: name.clone(), name };
                return Ok(columns.into_iter().map(named).collect());
            };
            after = last.row;
            for line in &lines {
                let vars: Map<String, Value> = serde_json::from_str(&line.vars).unwrap_or_default();
                columns
                    .extend(vars.into_iter().map(|(name, _)| name).filter(|name| seen.insert(name.clone())));
            }
        }
    }

    /// Everybody of one closing list (or of all), in pages.
    ///
    /// # Errors
    /// `campaign_not_found`; a page that cannot be read ends the stream with its problem.
    pub async fn campaign_results(
        &self,
        app: &App,
        id: Uuid,
        list: ListName,
    ) -> Result<(StoredCampaign, impl Stream<Item = Result<Vec<Line>, Problem>> + Send + use<>), Problem>
    {
        let campaign = self.stored_campaign(app, id).await?;
        let readings: Vec<Reading> = self
            .store
            .campaign_progress(campaign.number)
            .await?
            .lanes
            .into_iter()
            .filter_map(|lane| {
                let (first, last) = lane.ids?;
                let before = Uuid::from_u128(first.as_u128() - 1);
                Some(Reading { lane: lane.lane, after: Some(before), last, page: VecDeque::new() })
            })
            .collect();
        let filter = list.map_or(ResultFilter::All, ResultFilter::List);
        let key = (campaign.number, campaign.asked.list);
        let service = self.clone();
        let stream = futures::stream::try_unfold(readings, move |mut readings| {
            let service = service.clone();
            async move {
                let mut lines = Vec::new();
                while lines.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                    service.fill(key, filter, &mut readings).await?;
                    let next = readings
                        .iter_mut()
                        .filter(|reading| !reading.page.is_empty())
                        .min_by_key(|reading| (reading.page.front().and_then(|row| row.row), reading.lane));
                    let Some(row) = next.and_then(|reading| reading.page.pop_front()) else { break };
                    lines.push(Line::from(row));
                }
                Ok((!lines.is_empty()).then_some((lines, readings)))
            }
        });
        Ok((campaign, stream))
    }

    /// Reads on in every lane of which nothing is in hand.
    async fn fill(
        &self,
        key: (i64, Option<Uuid>),
        filter: ResultFilter,
        readings: &mut [Reading],
    ) -> Result<(), Problem> {
        for reading in readings.iter_mut().filter(|reading| reading.page.is_empty()) {
            while let Some(after) = reading.after
                && reading.page.is_empty()
            {
                let (rows, next) = self
                    .store
                    .campaign_results(key, reading.lane, (after, reading.last), filter, PAGE)
                    .await?;
                reading.after = next;
                reading.page = rows.into();
            }
        }
        Ok(())
    }
}

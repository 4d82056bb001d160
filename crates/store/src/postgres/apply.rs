//! Applying the inbox: grants and refusals. Their accounts, their ledger entries and the marks on their rows are
//! one fenced statement. Receipts are not written for PostgreSQL yet: their rows stay pending.

use std::collections::{HashMap, HashSet};

use domain::InboxId;
use domain::ledger::{Change, TemplateKind};
use serde_json::{Value, json as object};
use sqlx::{PgConnection, Row};

use super::accounts::{self, write_accounts};
use super::client::Inner;
use super::fence::{Fence, fence};
use super::{PgHot, column};
use crate::error::StoreError;
use crate::hot::accounts::{Book, Key};
use crate::hot::append::Verdict;
use crate::hot::apply::{Act, ActKind, Application, ToApply};
use crate::hot::uuid;

/// Rows that wait to be applied.
pub(super) const PENDING: &str = "
select i.id from unnest($1::smallint[], $2::bytea[]) b (lane, id)
join inbox i on i.lane = b.lane and i.id = b.id where i.verdict is null";

pub(super) const APPLY: &str = concat!(
    fence!(),
    write_accounts!(),
    "
update inbox i set verdict = b.verdict, reason = b.reason, effects = b.effects, applied_at = b.applied_at
from unnest($28::smallint[], $29::bytea[], $30::smallint[], $31::text[], $32::text[], $33::bigint[])
    b (lane, id, verdict, reason, effects, applied_at)
where i.lane = b.lane and i.id = b.id and b.lane = any (array(select id from g))
returning i.id"
);

/// The mark on an inbox row.
struct Mark<'a> {
    item: &'a ToApply,
    effects: Option<String>,
}

impl PgHot {
    /// Applies events; returns when the effects are durable.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn apply(&self, events: Vec<ToApply>) -> Result<Vec<Application>, StoreError> {
        self.detached(|inner| async move {
            let mut fence = Fence::default();
            for item in &events {
                fence.add(item.id.lane(), Some(item.epoch));
            }
            let _held = inner.hold(&fence).await;
            let mut db = inner.acquire().await?;
            let valid: Vec<&ToApply> =
                events.iter().filter(|item| fence.allows(item.id.lane(), item.epoch)).collect();
            let pending = pending(&mut db, &valid).await?;
            let mut seen = HashSet::new();
            let ours: Vec<&ToApply> = valid
                .into_iter()
                .filter(|item| pending.contains(&item.id) && seen.insert(item.id))
                .filter(|item| !item.acts.iter().any(is_receipt))
                .collect();
            let marked =
                if ours.is_empty() { HashSet::new() } else { write(&inner, &mut db, &fence, &ours).await? };
            let mut left = marked;
            Ok(events
                .iter()
                .map(|item| match item.acts.iter().any(is_receipt) {
                    _ if left.remove(&item.id) => Application::Done,
                    true if pending.contains(&item.id) => Application::Waits,
                    _ => Application::NotOurs,
                })
                .collect())
        })
        .await
    }
}

fn is_receipt(act: &Act) -> bool {
    matches!(act.kind, ActKind::Receipt { .. })
}

async fn pending(db: &mut PgConnection, items: &[&ToApply]) -> Result<HashSet<InboxId>, StoreError> {
    sqlx::query(PENDING)
        .bind(column!(items, |item| super::lane(item.id.lane().0)))
        .bind(column!(items, |item| item.id.0.as_bytes().as_slice()))
        .fetch_all(db)
        .await?
        .iter()
        .map(|row| Ok(InboxId(uuid(row.try_get(0)?)?)))
        .collect()
}

async fn write(
    inner: &Inner,
    db: &mut PgConnection,
    fence: &Fence,
    items: &[&ToApply],
) -> Result<HashSet<InboxId>, StoreError> {
    let mut wanted = Vec::new();
    for item in items {
        wanted.extend(item.acts.iter().map(|act| (item.app, act.template_id.as_str())));
    }
    let templates = inner.templates.ensure(db, wanted).await?;
    let mut keys = Vec::new();
    for item in items {
        keys.extend(item.acts.iter().filter_map(|act| key(&templates, item, act)));
    }
    let mut book = accounts::load(db, keys).await?;
    let mut marks = Vec::with_capacity(items.len());
    for item in items {
        let effects = change(&mut book, db, &templates, item).await?;
        marks.push(Mark { item, effects });
    }
    marks.sort_unstable_by_key(|mark| (mark.item.id.lane(), mark.item.id));
    let now = items.iter().map(|item| item.at).max().unwrap_or(0);
    let query = fence.bind(sqlx::query(APPLY), &inner.owner);
    accounts::bind(query, &mut book, &inner.ids, now)?
        .bind(column!(marks, |mark| super::lane(mark.item.id.lane().0)))
        .bind(column!(marks, |mark| mark.item.id.0.as_bytes().as_slice()))
        .bind(column!(marks, |mark| verdict(mark.item).0.code()))
        .bind(column!(marks, |mark| verdict(mark.item).1))
        .bind(column!(marks, |mark| mark.effects.as_deref()))
        .bind(column!(marks, |mark| mark.item.at))
        .fetch_all(db)
        .await?
        .iter()
        .map(|row| Ok(InboxId(uuid(row.try_get(0)?)?)))
        .collect()
}

fn verdict(item: &ToApply) -> (Verdict, Option<&str>) {
    item.set_aside.as_ref().map_or((Verdict::Applied, None), |(verdict, why)| (*verdict, Some(why)))
}

fn key(
    templates: &HashMap<(i64, String), (i64, TemplateKind)>,
    item: &ToApply,
    act: &Act,
) -> Option<(Key, TemplateKind)> {
    let (template, kind) = *templates.get(&(item.app, act.template_id.clone()))?;
    Some((Key { lane: item.id.lane().0, template, openid: item.openid.clone() }, kind))
}

/// Applies the acts of one event; gives what they changed, as JSON.
async fn change(
    book: &mut Book,
    db: &mut PgConnection,
    templates: &HashMap<(i64, String), (i64, TemplateKind)>,
    item: &ToApply,
) -> Result<Option<String>, StoreError> {
    let mut effects = Vec::with_capacity(item.acts.len());
    for act in &item.acts {
        let Some((key, _)) = key(templates, item, act) else { continue };
        let change = match act.kind {
            ActKind::Grant { at } => Change::Grant { at },
            ActKind::PopupReject { at } => Change::PopupReject { at },
            ActKind::ChangeReject { at } => Change::ChangeReject { at },
            ActKind::Report { at } => Change::Report { at },
            ActKind::ReportedReject { .. } | ActKind::Receipt { .. } => continue,
        };
        let before = book.subscription(&key).map_or(0, |subscription| subscription.balance);
        accounts::apply(book, db, &key, change, item.at, item.id.0).await?;
        if let Some(after) = book.subscription(&key) {
            effects.push(object!({
                "template_id": act.template_id, "delta": after.balance - before, "balance": after.balance,
                "status": after.status.as_str(),
            }));
        }
    }
    Ok((!effects.is_empty()).then(|| Value::Array(effects).to_string()))
}

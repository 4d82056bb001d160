//! What is written where a person is erased: a few hundred rows at a time, by the lane's owner.

use domain::message::{Event, State, transition};
use domain::{InboxId, Lane, MessageId};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Erasure;
use crate::changes::{leave, write_position};
use crate::db::{self, Db, Readers, Row};
use crate::error::StoreError;
use crate::hot::{epochs, hex, json, receipts, uuid};
use crate::people;

/// What one commit did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    pub(crate) count: u64,
    /// A message of it is being sent: it was left as it is.
    pub(crate) under_way: bool,
}

/// Idempotency keys of a person, and where the next page begins.
pub(crate) struct Keys {
    pub(crate) found: Vec<Key>,
    pub(crate) next: Option<Key>,
}

/// Lane, app and text of an idempotency key.
pub(crate) type Key = (i64, i64, String);

const OPEN: &str = "
select r.id, s.state, m.data from template t join reserved r on r.lane = $1 and r.template = t.id and r.openid = $2
join message_state s on s.lane = r.lane and s.id = r.id join message m on m.lane = r.lane and m.id = r.id where t.app = $3";
/// A place of its own, whatever for: nothing of an erased person is sent.
const UNQUEUE: &str = "
delete from ready where lane = $1 and id in (select b.id from [$2 each: id id] b)";
const FORBID: &str = "update message_state set cancel_requested = true where lane = $2 and id = $1";
const IN_FLIGHT: &str =
    "select count(*) from in_flight where lane = $1 and id in (select b.id from [$2 each: id id] b)";
const STATES: &str = "
select s.id, s.state, m.data from message_state s join message m on m.lane = s.lane and m.id = s.id
where s.lane = $2 and s.id in (select b.id from [$1 each: id id] b)";
/// For good: no new attempt of a message without a recipient. `$3` is an object without anything.
const BLANK_MESSAGES: [&str; 4] = [
    // The line of the list that the message was made of, while the message says which.
    "update recipient set given = '', vars = $3 where (list, row) in
         (select c.list, m.row from message m join campaign c on c.number = m.queue - 1099511627776
          where m.lane = $2 and m.id in (select b.id from [$1 each: id id] b) and m.row is not null and c.list is not null)",
    "update message set openid = '', data = $3, page = null
         where lane = $2 and id in (select b.id from [$1 each: id id] b)",
    "update message_state set errmsg = null, receipt_status = case when receipt_status is not null then '' end,
         cancel_requested = true where lane = $2 and id in (select b.id from [$1 each: id id] b)",
    "update attempt set errmsg = null where lane = $2 and message in (select b.id from [$1 each: id id] b)",
];
const BLANK_DATA: &str = "
update message set data = b.data from [$1: id id, data text] b where message.lane = $2 and message.id = b.id";
/// Of whatever lane: the text of one may name a person of another.
const BLANK_CALLBACKS: &str = "
update inbox set openid = '', body = '' from [$1: lane int2, id id] b where inbox.lane = b.lane and inbox.id = b.id";
const ACCOUNTS: [&str; 4] = [
    "delete from reserved where lane = $1 and openid = $2 and template in (select id from template where app = $3)",
    "delete from ledger where lane = $1 and id in (
         with recursive chain (id, previous) as (
             select l.id, l.previous from subscription s join ledger l on l.lane = s.lane and l.id = s.last_entry
             where s.lane = $1 and s.openid = $2 and s.template in (select id from template where app = $3)
             union all
             select l.id, l.previous from chain c join ledger l on l.lane = $1 and l.id = c.previous
         ) select id from chain)",
    "delete from subscription where lane = $1 and openid = $2 and template in (select id from template where app = $3)",
    "delete from reported where lane = $1 and openid = $2 and template in (select id from template where app = $3)",
];
/// The two bytes of a message's id that hold its lane are compared before the message is looked up: a value, not `exists`,
/// for which PostgreSQL may read all messages of the lane.
const KEYS: &str = "
select i.lane, i.app, i.key, substr(i.message, 7, 2) = $4 and coalesce(
    (select m.app = $5 and m.openid = $6 from message m where m.lane = $8 and m.id = i.message), false)
from idempotency i where (i.lane, i.app, i.key) > ($1, $2, $3) order by i.lane, i.app, i.key limit $7";
const FORGET_KEYS: &str = "
delete from idempotency where (lane, app, key) in
    (select b.lane, b.app, b.key from [$1: lane int2, app int8, key text] b)";

/// Nothing, where an object is kept.
const EMPTY: &str = "{}";

/// Whether the lane is still owned under this epoch (I7); takes its turn. What follows is about it.
pub(crate) async fn ours(db: &mut Db, (lane, epoch): (u16, i64)) -> Result<bool, StoreError> {
    Ok(epochs(db.in_lane(lane), std::iter::once(lane)).await?.get(&lane) == Some(&epoch))
}

/// Ends what waits for the person; gives whether something is being sent. `values`: only messages with a value of these
/// kinds (or with any).
pub(crate) async fn stop(
    db: &mut Db,
    app: i64,
    lane: u16,
    person: &str,
    values: Option<Option<&[String]>>,
) -> Result<bool, StoreError> {
    let mut touched = Vec::new();
    for row in db::query(OPEN).bind(lane).bind(person).bind(app).fetch_all(&mut *db).await? {
        let data: String = row.try_get(2)?;
        if values.is_some_and(|kinds| blanked(&data, kinds).is_none()) {
            continue;
        }
        let id = MessageId(uuid(row.try_get(0)?)?);
        stop_one(db, id, state(&row)?).await?;
        touched.push(hex(id.0));
    }
    if touched.is_empty() {
        return Ok(false);
    }
    let touched = json(&touched)?;
    db::query(UNQUEUE).bind(lane).bind(&touched).execute(&mut *db).await?;
    let flying: i64 = db::query_scalar(IN_FLIGHT).bind(lane).bind(touched).fetch_one(db).await?;
    Ok(flying > 0)
}

async fn stop_one(db: &mut Db, id: MessageId, state: State) -> Result<(), StoreError> {
    match state {
        State::Scheduled | State::Queued => {
            leave(db, id, Event::Skip).await?;
        }
        State::Sending => {
            let row = db::query(
                "select state, outcome, receipt, cancel_requested from message_state where lane = $2 and id = $1",
            )
            .bind(id.0.as_bytes().as_slice())
            .bind(id.lane().0)
            .fetch_one(&mut *db)
            .await?;
            let before = receipts::position(&row, 0)?;
            if let Ok(after) = transition(&before, &Event::Cancel) {
                write_position(db, id, &before, &after, None).await?;
            }
        }
        _ => {
            db::query(FORBID).bind(id.0.as_bytes().as_slice()).bind(id.lane().0).execute(db).await?;
        }
    }
    Ok(())
}

/// Takes recipient, fields, page and texts out of messages.
pub(crate) fn messages(db: &mut Db, lane: u16, ids: Vec<Uuid>) -> BoxFuture<'_, Result<Written, StoreError>> {
    Box::pin(async move {
        let (ids, under_way, _) = at_rest(db, lane, &ids, |_| true).await?;
        let batch = json(&ids)?;
        for statement in BLANK_MESSAGES {
            db::query(statement).bind(&batch).bind(lane).bind(EMPTY).execute(&mut *db).await?;
        }
        Ok(Written { count: ids.len() as u64, under_way })
    })
}

/// Takes values out of messages: those of fields of these kinds, or all.
pub(crate) async fn values(
    db: &mut Db,
    lane: u16,
    ids: &[Uuid],
    kinds: Option<&[String]>,
) -> Result<Written, StoreError> {
    let (ids, under_way, data) = at_rest(db, lane, ids, |data| blanked(data, kinds).is_some()).await?;
    let rows: Vec<(String, String)> = ids
        .into_iter()
        .zip(data)
        .filter_map(|(id, data)| blanked(&data, kinds).map(|data| (id, data)))
        .collect();
    if !rows.is_empty() {
        db::query(BLANK_DATA).bind(json(&rows)?).bind(lane).execute(db).await?;
    }
    Ok(Written { count: rows.len() as u64, under_way })
}

/// Those of some messages that it concerns and that are not being sent (what waits is ended first), with their data.
async fn at_rest(
    db: &mut Db,
    lane: u16,
    ids: &[Uuid],
    concerns: impl Fn(&str) -> bool,
) -> Result<(Vec<String>, bool, Vec<String>), StoreError> {
    let (mut resting, mut data, mut under_way) = (Vec::new(), Vec::new(), false);
    let wanted: Vec<String> = ids.iter().map(|id| hex(*id)).collect();
    for row in db::query(STATES).bind(json(&wanted)?).bind(lane).fetch_all(&mut *db).await? {
        let (id, text): (_, String) = (MessageId(uuid(row.try_get(0)?)?), row.try_get(2)?);
        if !concerns(&text) {
            continue;
        }
        match state(&row)? {
            State::Sending => {
                under_way = true;
                continue;
            }
            // It was accepted a moment before the erasure was asked for, and came in after what waited was ended.
            waits @ (State::Scheduled | State::Queued) => stop_one(db, id, waits).await?,
            _ => {}
        }
        resting.push(hex(id.0));
        data.push(text);
    }
    Ok((resting, under_way, data))
}

fn state(row: &Row) -> Result<State, StoreError> {
    State::try_from(row.try_get::<i16>(1)?).map_err(|_| StoreError::Corrupt("message_state"))
}

/// The data without the values of these kinds (or without any); `None` where nothing of it is theirs.
fn blanked(data: &str, kinds: Option<&[String]>) -> Option<String> {
    let mut data: Map<String, Value> = serde_json::from_str(data).ok()?;
    let mut changed = false;
    for (key, value) in &mut data {
        let kind = key.trim_end_matches(|c: char| c.is_ascii_digit());
        if kinds.is_none_or(|kinds| kinds.iter().any(|known| known == kind)) && value != "" {
            *value = Value::String(String::new());
            changed = true;
        }
    }
    changed.then(|| Value::Object(data).to_string())
}

/// Deletes balances, statuses, reservations and ledger of a person; gives how many subscriptions and entries.
pub(crate) async fn accounts(
    db: &mut Db,
    app: i64,
    lane: u16,
    person: &str,
) -> Result<(u64, u64), StoreError> {
    people::forget(db, app, lane, person).await?;
    let mut counts = [0; ACCOUNTS.len()];
    for (statement, count) in ACCOUNTS.into_iter().zip(&mut counts) {
        *count =
            db::query(statement).bind(lane).bind(person).bind(app).execute(&mut *db).await?.rows_affected();
    }
    db::query("update webhook_event set body = $3 where app = $1 and <<instr|strpos>>(body, $2) > 0")
        .bind(app)
        .bind(person)
        .bind(EMPTY)
        .execute(&mut *db)
        .await?;
    db::query("update audit set target = null where app = $1 and <<instr|strpos>>(target, $2) > 0")
        .bind(app)
        .bind(person)
        .execute(&mut *db)
        .await?;
    for (read, write) in TEXTS {
        let found: Vec<(Vec<u8>, String)> =
            db::query_as(read).bind(app).bind(person).fetch_all(&mut *db).await?;
        for (id, text) in found {
            let text = match serde_json::from_str(&text) {
                Ok(value) => without(value, person).to_string(),
                Err(_) => EMPTY.to_owned(),
            };
            db::query(write).bind(id).bind(text).execute(&mut *db).await?;
        }
    }
    Ok((counts[2], counts[1]))
}

/// Texts of JSON that may name people: what recurs, what was found in a sheet, whom a campaign is for.
const TEXTS: [(&str, &str); 3] = [
    (
        "select id, campaign from schedule where app = $1 and <<instr|strpos>>(campaign, $2) > 0",
        "update schedule set campaign = $2 where id = $1",
    ),
    (
        "select id, found from upload where app = $1 and <<instr|strpos>>(found, $2) > 0",
        "update upload set found = $2 where id = $1",
    ),
    (
        "select id, audience from campaign where app = $1 and <<instr|strpos>>(audience, $2) > 0",
        "update campaign set audience = $2 where id = $1",
    ),
];

/// Without the elements of lists that name a person, and without the name elsewhere.
fn without(value: Value, person: &str) -> Value {
    match value {
        Value::Array(all) => all
            .into_iter()
            .filter(|one| !one.is_object() || !one.to_string().contains(person))
            .filter(|one| !one.as_str().is_some_and(|text| text.contains(person)))
            .map(|one| without(one, person))
            .collect(),
        Value::Object(all) => all
            .into_iter()
            .filter(|(name, _)| !name.contains(person))
            .map(|(name, one)| (name, without(one, person)))
            .collect(),
        Value::String(text) if text.contains(person) => Value::String(String::new()),
        other => other,
    }
}

/// Takes openid and text out of inbox rows.
pub(crate) fn callbacks(db: &mut Db, _: u16, ids: Vec<Uuid>) -> BoxFuture<'_, Result<Written, StoreError>> {
    Box::pin(async move {
        let rows: Vec<_> = ids.iter().map(|id| (InboxId(*id).lane().0, hex(*id))).collect();
        let done = db::query(BLANK_CALLBACKS).bind(json(&rows)?).execute(db).await?;
        Ok(Written { count: done.rows_affected(), under_way: false })
    })
}

/// A page of idempotency keys, narrowed to those of the person's messages.
pub(crate) async fn keys(
    readers: &Readers,
    erasure: &Erasure,
    after: &Key,
    limit: i64,
) -> Result<Keys, StoreError> {
    let Lane(lane) = erasure.lane();
    let rows = db::query(KEYS)
        .bind(after.0)
        .bind(after.1)
        .bind(&after.2)
        .bind((0x7000 | lane).to_be_bytes().to_vec())
        .bind(erasure.app)
        .bind(erasure.person())
        .bind(limit)
        .bind(lane)
        .fetch_all(readers)
        .await?;
    let (mut found, mut last) = (Vec::new(), None);
    for row in &rows {
        let key: Key = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if row.try_get::<bool>(3)? {
            found.push(key.clone());
        }
        last = Some(key);
    }
    let full = i64::try_from(rows.len()).unwrap_or(0) == limit;
    Ok(Keys { found, next: last.filter(|_| full) })
}

pub(crate) async fn forget_keys(db: &mut Db, keys: &[Key]) -> Result<(), StoreError> {
    db::query(FORGET_KEYS).bind(json(keys)?).execute(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{blanked, without};

    #[test]
    fn a_person_goes_from_lists_and_texts_and_everybody_else_stays() {
        let text = json!({ "audience": { "recipients": [{ "to": "oA", "vars": { "name": "甲" } }, { "to": "oB" }] },
            "openids": ["oA", "oB"], "note": "for oA", "where": { "oA": 1, "op": "eq" }, "rows": 2 });
        let expected = json!({ "audience": { "recipients": [{ "to": "oB" }] }, "openids": ["oB"], "note": "",
            "where": { "op": "eq" }, "rows": 2 });
        assert_eq!(without(text, "oA"), expected);
    }

    #[test]
    fn values_go_by_the_kind_of_their_field() {
        let data = r#"{"name1":"张三","phone_number2":"13800000000","thing10":"费","thing3":""}"#;
        let kinds = ["phone_number".to_owned()];
        let of_kind = blanked(data, Some(&kinds)).unwrap();
        assert!(of_kind.contains("张三") && !of_kind.contains("138") && of_kind.contains("费"), "{of_kind}");
        assert_eq!(blanked(&of_kind, Some(&kinds)), None, "nothing is left of it");
        assert_eq!(
            blanked(data, None).unwrap(),
            r#"{"name1":"","phone_number2":"","thing10":"","thing3":""}"#
        );
    }
}

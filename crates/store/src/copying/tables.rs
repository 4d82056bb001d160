//! Every table that a copy takes along, in an order in which what is named stands before what names it, and by which columns
//! it is walked.

use crate::db::Engine;

/// A table of the copy.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The key that SQLite keeps it by.
    key: &'static [&'static str],
    /// Whether PostgreSQL's key is led by the lane where SQLite's is not.
    led: bool,
    /// Rows of one page: fewer where a row may be large.
    pub(super) page: i64,
    /// The column whose numbers the database gives, never one twice.
    pub(super) numbers: Option<&'static str>,
}

impl Table {
    /// The columns by which an engine reads it in order.
    pub(super) fn key(&self, engine: Engine) -> Vec<&'static str> {
        let lane = (self.led && engine == Engine::Postgres).then_some("lane");
        lane.into_iter().chain(self.key.iter().copied().filter(|column| Some(*column) != lane)).collect()
    }
}

const fn plain(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, led: false, page: 500, numbers: None }
}

const fn numbered(name: &'static str, column: &'static [&'static str]) -> Table {
    Table { name, key: column, led: false, page: 500, numbers: Some(column[0]) }
}

const fn led(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, led: true, page: 500, numbers: None }
}

/// What is left out belongs to a running installation and not to its data: nodes, duties, turns; `meta` and `lane` are copied by
/// hand. A test compares this list with the schema.
pub(super) const TABLES: [Table; 36] = [
    numbered("app", &["id"]),
    numbered("previous_keys", &["id"]),
    numbered("api_key", &["id"]),
    numbered("operator", &["number"]),
    plain("session", &["digest"]),
    plain("access_token", &["app"]),
    plain("gate", &["app"]),
    numbered("template", &["id"]),
    numbered("webhook", &["number"]),
    numbered("webhook_event", &["number"]),
    plain("webhook_delivery", &["webhook", "event"]),
    numbered("schedule", &["number"]),
    plain("app_day", &["app", "day"]),
    numbered("audit", &["number"]),
    plain("guest", &["app", "openid"]),
    numbered("campaign", &["number"]),
    led("campaign_lane", &["campaign", "lane"]),
    plain("recipient", &["list", "row"]),
    Table { name: "upload", key: &["id"], led: false, page: 2, numbers: None },
    plain("subscriber", &["lane", "app", "openid"]),
    plain("person_key", &["lane", "app", "name", "value", "openid"]),
    plain("subscription", &["lane", "template", "openid"]),
    plain("reported", &["lane", "template", "openid"]),
    led("ledger", &["id"]),
    led("identity", &["event_at", "lane", "digest"]),
    led("inbox", &["id"]),
    led("relay", &["inbox"]),
    led("erasure", &["id"]),
    led("message", &["id"]),
    led("message_state", &["id"]),
    led("attempt", &["message", "number"]),
    plain("ready", &["lane", "queue", "due_at", "id"]),
    plain("reserved", &["lane", "template", "openid", "id"]),
    plain("in_flight", &["lane", "id"]),
    plain("idempotency", &["lane", "app", "key"]),
    plain("happened", &["app", "hour", "template", "what", "shard"]),
];

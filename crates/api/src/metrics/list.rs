//! The list itself: name, sort, whose figure, labels, meaning. docs/MONITORING.md says the same.

/// What sort of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It rises.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often how long.
    Histogram,
}

/// Whose figure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// This node's: sum (or take the greatest) over nodes.
    Node,
    /// The whole database's, shown by one node at a time: take the greatest, never the sum.
    Database,
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its sort.
    pub kind: Kind,
    /// Whose figure.
    pub whose: Whose,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

const fn metric(
    kind: Kind,
    whose: Whose,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, whose, labels, help }
}

use Kind::{Counter, Gauge, Histogram};
use Whose::{Database, Node};

/// All of them, by area.
pub const METRICS: [Metric; 46] = [
    // the process
    metric(
        Gauge,
        Node,
        "hongyan_build_info",
        &["version", "engine"],
        "1; the program's version and the database's engine",
    ),
    metric(Gauge, Node, "hongyan_ready", &[], "1 where /readyz answers 200"),
    metric(Gauge, Node, "process_start_time_seconds", &[], "When the process started, in Unix seconds"),
    metric(
        Gauge,
        Node,
        "process_resident_memory_bytes",
        &[],
        "Memory that the process has in use (Linux only)",
    ),
    metric(
        Counter,
        Node,
        "hongyan_http_requests_total",
        &["area", "status"],
        "HTTP requests answered, by area (api, callback, mp, console, other) and class of status",
    ),
    metric(Histogram, Node, "hongyan_http_seconds", &["area"], "Time until the head of an HTTP answer"),
    // coming in
    metric(
        Counter,
        Node,
        "hongyan_callbacks_total",
        &["what", "verdict"],
        "Requests to the callback address (push or verification), by verdict",
    ),
    metric(Counter, Node, "hongyan_callbacks_applied_total", &[], "Inbox rows that took effect"),
    metric(
        Counter,
        Node,
        "hongyan_callbacks_quarantined_total",
        &["reason"],
        "Verified pushes set aside, by reason",
    ),
    metric(
        Counter,
        Node,
        "hongyan_callbacks_previous_keys_total",
        &[],
        "Pushes that came with the callback keys of before a change",
    ),
    metric(
        Counter,
        Node,
        "hongyan_apply_failures_total",
        &[],
        "Times that the inbox could not be applied; it is tried again",
    ),
    metric(
        Gauge,
        Node,
        "hongyan_inbox_oldest_unapplied_seconds",
        &[],
        "Age of the oldest inbox row not yet applied, in this node's lanes",
    ),
    metric(Gauge, Database, "hongyan_quarantine", &["app"], "Quarantined callbacks that are kept"),
    metric(
        Counter,
        Node,
        "hongyan_quarantine_dropped_total",
        &[],
        "Quarantined callbacks that were dropped beyond the bound",
    ),
    metric(
        Counter,
        Node,
        "hongyan_reports_total",
        &[],
        "Reports of mini programs (provisional grants) taken",
    ),
    metric(Counter, Node, "hongyan_erasures_total", &[], "People, or values of theirs, that were erased"),
    metric(Counter, Node, "hongyan_relay_total", &["outcome"], "Tries to pass a callback on, by outcome"),
    metric(Gauge, Database, "hongyan_relay_backlog", &["app"], "Callbacks that wait to be passed on"),
    metric(
        Counter,
        Node,
        "hongyan_retention_total",
        &["what"],
        "Rows that were kept long enough and are gone, by what they were",
    ),
    // going out
    metric(Counter, Node, "hongyan_messages_total", &["state"], "Attempts that ended, by how"),
    metric(
        Counter,
        Node,
        "hongyan_send_answers_total",
        &["class"],
        "WeChat's answers to the send call, by class of errcode (ok, refused, configuration, quota, permanent …; not_sent, no_answer)",
    ),
    metric(Histogram, Node, "hongyan_send_seconds", &[], "Time of WeChat's send call"),
    metric(
        Gauge,
        Node,
        "hongyan_queue_oldest_due_seconds",
        &[],
        "How long the oldest message has been due that may be sent, in this node's lanes; paused, gated and out-of-window ones are not counted",
    ),
    metric(Counter, Node, "hongyan_gates_closed_total", &["gate"], "Gates closed, by cause"),
    metric(
        Gauge,
        Database,
        "hongyan_gate_closed",
        &["app"],
        "1 where nothing of the app is sent (configuration, quota, budget)",
    ),
    metric(
        Gauge,
        Database,
        "hongyan_quota_remain",
        &["app"],
        "Send calls that WeChat still allows today, as last asked",
    ),
    metric(
        Gauge,
        Database,
        "hongyan_campaigns_under_way",
        &[],
        "Campaigns that are scheduled, running, paused or being cancelled",
    ),
    metric(
        Counter,
        Node,
        "hongyan_campaign_accounts_broken_total",
        &[],
        "Campaigns whose accounts did not close (I9): never to be seen",
    ),
    metric(
        Counter,
        Node,
        "hongyan_unknown_followed_up_total",
        &["event"],
        "Messages of unknown outcome that the app's policy decided on",
    ),
    metric(
        Counter,
        Node,
        "hongyan_unknown_resolved_total",
        &["by"],
        "Messages of unknown outcome that evidence resolved",
    ),
    metric(
        Counter,
        Node,
        "hongyan_late_answers_total",
        &["answer"],
        "Answers of WeChat that came after the call's time-out",
    ),
    metric(
        Counter,
        Node,
        "hongyan_ledger_corrections_total",
        &["kind"],
        "Grants that WeChat knew better of: found or zeroed (the ledger's drift)",
    ),
    metric(
        Counter,
        Node,
        "hongyan_template_drifts_total",
        &[],
        "Templates that were found changed or gone at WeChat",
    ),
    metric(Gauge, Database, "hongyan_access_token_age_seconds", &["app"], "Age of the access token"),
    metric(
        Gauge,
        Database,
        "hongyan_access_token_expires_in_seconds",
        &["app"],
        "Time until the access token ends; below 0 it has ended and nobody needed a new one",
    ),
    metric(Counter, Node, "hongyan_webhooks_total", &["outcome"], "Tries to deliver a webhook, by outcome"),
    metric(
        Counter,
        Node,
        "hongyan_webhooks_disabled_total",
        &[],
        "Webhooks that were disabled since they failed",
    ),
    metric(Gauge, Database, "hongyan_webhook_backlog", &[], "Webhook deliveries that wait"),
    // lanes, database, outside
    metric(Gauge, Node, "hongyan_lanes_owned", &[], "Lanes that this node works on"),
    metric(Gauge, Database, "hongyan_lanes_unowned", &[], "Lanes that are nobody's at this moment"),
    metric(
        Histogram,
        Node,
        "hongyan_database_commit_seconds",
        &[],
        "SQLite: time to begin, sync and commit. PostgreSQL: time of a lane's whole transaction, its wait for a connection included",
    ),
    metric(Counter, Node, "hongyan_database_written_rows_total", &["work"], "Rows written, by kind of work"),
    metric(
        Counter,
        Node,
        "hongyan_database_write_milliseconds_total",
        &["work"],
        "Time that writing took, by kind of work",
    ),
    metric(
        Gauge,
        Node,
        "hongyan_database_connections",
        &["state"],
        "Connections of this node that read (on PostgreSQL: all of them): open, idle, and most, the bound",
    ),
    metric(
        Gauge,
        Node,
        "hongyan_database_bytes",
        &["what"],
        "SQLite only: bytes of the file, of its wal, and free on its disk",
    ),
    metric(
        Gauge,
        Node,
        "hongyan_certificate_expires_in_seconds",
        &[],
        "Time until the certificate of public_url ends",
    ),
];

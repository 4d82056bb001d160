//! The nodes that serve one database, and how far each lane is behind: what `cluster status` and `GET /cluster` show.

use domain::Millis;
use serde::Serialize;

use crate::view::time;
use crate::{Problem, Service};

/// A node that nobody has heard of for so long is shown as gone.
const GONE: Millis = 15_000;

/// The cluster at a moment.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Cluster {
    /// The database's time.
    pub at: String,
    /// `sqlite` (one node) or `postgres`.
    pub engine: &'static str,
    /// Those that were heard of lately, by name.
    pub nodes: Vec<NodeView>,
    /// Each lane.
    pub lanes: Vec<LaneView>,
    /// Lanes that are nobody's at the moment.
    pub free_lanes: usize,
    /// The oldest callback that is not applied, in milliseconds.
    pub inbox_lag_ms: i64,
    /// How long the message that should have left first has been waiting, in milliseconds.
    pub queue_lag_ms: i64,
}

/// A node.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct NodeView {
    /// Random per start.
    pub id: String,
    /// What an operator calls it.
    pub name: String,
    /// web, worker or all.
    pub role: String,
    /// The program's version.
    pub version: String,
    /// Since when it runs.
    pub started_at: String,
    /// When it was last heard of.
    pub seen_at: String,
    /// `alive`, `leaving` or `gone`.
    pub state: &'static str,
    /// Lanes that are its own.
    pub lanes: usize,
}

/// A lane.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LaneView {
    /// Its number.
    pub lane: u16,
    /// The id of the node that it belongs to.
    pub node: Option<String>,
    /// How often it was taken.
    pub epoch: i64,
    /// Until when it is that node's unless renewed.
    pub lease_until: Option<String>,
    /// The oldest callback that is not applied, in milliseconds.
    pub inbox_lag_ms: i64,
    /// How long the message that should have left first has been waiting (also one of a paused campaign), in milliseconds.
    pub queue_lag_ms: i64,
}

impl Service {
    /// The nodes and lanes at this moment.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn cluster(&self) -> Result<Cluster, Problem> {
        let store = self.store();
        let now = store.now().await?;
        let shared = store.is_shared();
        let rows = store.lane_rows().await?;
        let held = |row: &store::lanes::LaneRow| !row.owner.is_empty() && row.lease_until > now;
        let mut lanes = Vec::with_capacity(rows.len());
        for row in &rows {
            let lag = store.lane_lag(row.lane).await?;
            let since = |at: Option<Millis>| at.map_or(0, |at| (now - at).max(0));
            lanes.push(LaneView {
                lane: row.lane.0,
                node: Some(row.owner.clone()).filter(|_| held(row)),
                epoch: row.epoch,
                lease_until: Some(time(row.lease_until)).filter(|_| shared && held(row)),
                inbox_lag_ms: since(lag.inbox),
                queue_lag_ms: since(lag.queue),
            });
        }
        let owned = |id: &str| rows.iter().filter(|row| held(row) && row.owner == id).count();
        let mut nodes: Vec<NodeView> = store
            .nodes(now - 20 * GONE)
            .await?
            .into_iter()
            .map(|node| NodeView {
                // A file's one node has no need to say that it is there.
                state: match (node.leaving, shared && node.seen_at + GONE < now) {
                    (_, true) => "gone",
                    (true, false) => "leaving",
                    (false, false) => "alive",
                },
                lanes: owned(&node.id),
                started_at: time(node.started_at),
                seen_at: time(node.seen_at),
                id: node.id,
                name: node.name,
                role: node.role,
                version: node.version,
            })
            .collect();
        nodes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(Cluster {
            at: time(now),
            engine: if shared { "postgres" } else { "sqlite" },
            free_lanes: lanes.iter().filter(|lane| lane.node.is_none()).count(),
            inbox_lag_ms: lanes.iter().map(|lane| lane.inbox_lag_ms).max().unwrap_or(0),
            queue_lag_ms: lanes.iter().map(|lane| lane.queue_lag_ms).max().unwrap_or(0),
            nodes,
            lanes,
        })
    }

    /// Whether anybody sends: a worker on a shared database.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn is_worked(&self) -> Result<bool, Problem> {
        let now = self.store().now().await?;
        let nodes = self.store().nodes(now - GONE).await?;
        Ok(nodes.iter().any(|node| node.role != "web" && !node.leaving))
    }
}

//! The nodes that share a database, each since its start, and what one of them does at a time. Used by the engine's keeper and by
//! whoever shows the cluster.

use domain::Millis;

use crate::Store;
use crate::db;
use crate::error::StoreError;
use crate::hints::Told;
use crate::postgres::NOW;

/// A node as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Random per start.
    pub id: String,
    /// What an operator calls it.
    pub name: String,
    /// web, worker or all.
    pub role: String,
    /// The program's version.
    pub version: String,
    /// Since when, on the database's clock.
    pub started_at: Millis,
    /// When it last said that it is there.
    pub seen_at: Millis,
    /// It gives its lanes back and takes no more.
    pub leaving: bool,
}

/// A node that runs was heard of within this time.
const HEARD_OF: Millis = 15_000;

const SEEN: &str = "
insert into node (id, name, role, version, started_at, seen_at, leaving) values ($1, $2, $3, $4, $5, $5, $6)
on conflict (id) do update set seen_at = excluded.seen_at, leaving = excluded.leaving";

const DUTY: &str = "
insert into duty (name, holder, until) values ($1, $2, $3)
on conflict (name) do update set holder = excluded.holder, until = excluded.until
    where duty.holder = excluded.holder or duty.until < $4";

impl Store {
    /// Says that a node is there (the first time, also since when); its clock learns the database's time. New nodes, and those
    /// that leave, are told to the others.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn seen(&self, node: &Node, news: bool) -> Result<Millis, StoreError> {
        let (node, shared, clock) = (node.clone(), self.is_shared(), self.clock.clone());
        let now = self
            .writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let now: Millis =
                        if shared { db::query_scalar(NOW).fetch_one(&mut *db).await? } else { clock.now() };
                    db::query(SEEN)
                        .bind(node.id)
                        .bind(node.name)
                        .bind(node.role)
                        .bind(node.version)
                        .bind(now)
                        .bind(node.leaving)
                        .execute(db)
                        .await?;
                    Ok(now)
                })
            })
            .await?;
        self.clock.learn(now);
        if news {
            self.hints.others(Told::Lanes);
        }
        Ok(now)
    }

    /// Forgets nodes that were not seen since, and the one that says farewell.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn forget_nodes(&self, farewell: Option<&str>, before: Millis) -> Result<(), StoreError> {
        let farewell = farewell.unwrap_or_default().to_owned();
        let told = !farewell.is_empty();
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let query = db::query("delete from node where id = $1 or seen_at < $2");
                    query.bind(farewell).bind(before).execute(db).await?;
                    Ok(())
                })
            })
            .await?;
        if told {
            self.hints.others(Told::Lanes);
        }
        Ok(())
    }

    /// The names of the nodes that run, for whatever needs that none does. Of a file its lock tells.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn running(&self) -> Result<Vec<String>, StoreError> {
        if !self.is_shared() {
            return Ok(Vec::new());
        }
        let nodes = self.nodes(self.now().await? - HEARD_OF).await?;
        Ok(nodes.into_iter().map(|node| node.name).collect())
    }

    /// The nodes that were seen since, and the database's time.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn nodes(&self, since: Millis) -> Result<Vec<Node>, StoreError> {
        let rows = db::query(
            "select id, name, role, version, started_at, seen_at, leaving from node where seen_at >= $1 order by id",
        );
        rows.bind(since)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                Ok(Node {
                    id: row.try_get(0)?,
                    name: row.try_get(1)?,
                    role: row.try_get(2)?,
                    version: row.try_get(3)?,
                    started_at: row.try_get(4)?,
                    seen_at: row.try_get(5)?,
                    leaving: row.try_get(6)?,
                })
            })
            .collect()
    }

    /// Takes something that one process does at a time (`name`), for so many milliseconds; false while it is another's.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn take_duty(&self, name: &str, holder: &str, lease: Millis) -> Result<bool, StoreError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let (shared, clock) = (self.is_shared(), self.clock.clone());
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let now: Millis =
                        if shared { db::query_scalar(NOW).fetch_one(&mut *db).await? } else { clock.now() };
                    let query = db::query(DUTY).bind(name).bind(holder).bind(now + lease).bind(now);
                    Ok(query.execute(db).await?.rows_affected() > 0)
                })
            })
            .await
    }

    /// Gives it back.
    ///
    /// # Errors
    /// Where the database is away: then its time ends by itself.
    pub async fn give_back_duty(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let query = db::query("delete from duty where name = $1 and holder = $2");
                    query.bind(name).bind(holder).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }
}

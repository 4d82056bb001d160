//! Another master key in the place of the present one: all that is sealed is opened with the old key and sealed with the new, page
//! by page, and what is found by a keyed hash gets a new hash (I12). Nobody may serve the database meanwhile. A change that broke off
//! is told from a whole one by `meta`; until it is ended nobody else opens the database. Used by `hongyan master-key change`.

use domain::InboxId;
use zeroize::Zeroizing;

use crate::db::{self, Row};
use crate::error::StoreError;
use crate::hot::uuid;
use crate::meta::{MASTER_KEY, NEXT_MASTER_KEY};
use crate::operators::SETUP_CODE;
use crate::{Store, apps, erasure, relay, tokens, webhooks};

/// Values, or people, that are sealed anew in one commit.
const PAGE: i64 = 500;

/// Why the key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// Nodes run, which know only the old key.
    #[error("nodes are running ({0}): stop them all first. 还有节点在运行（{0}），请先全部停止。")]
    Served(String),
    /// Where the database is away, or a value does not open: then the change must be given again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was sealed anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Secrets of apps, tokens, webhooks, what waits for a relay or an erasure.
    pub secrets: u64,
    /// People with sensitive attributes.
    pub people: u64,
}

/// A column of sealed values.
struct Column {
    /// Gives the row's key, what its place is named by, and the sealed value, of `$2` rows after `$1`.
    read: &'static str,
    /// Puts the value `$2` into the row `$1`.
    write: &'static str,
    place: fn(&Row) -> Result<String, StoreError>,
}

/// Rows that have a number.
const NUMBERED: [Column; 10] = [
    Column {
        read: "select id, app_id, secret from app where id > $1 order by id limit $2",
        write: "update app set secret = $2 where id = $1",
        place: |row| Ok(apps::context("secret", row.try_get(1)?)),
    },
    Column {
        read: "select id, app_id, callback_token from app where id > $1 order by id limit $2",
        write: "update app set callback_token = $2 where id = $1",
        place: |row| Ok(apps::context("callback_token", row.try_get(1)?)),
    },
    Column {
        read: "select id, app_id, aes_key from app where id > $1 and aes_key is not null order by id limit $2",
        write: "update app set aes_key = $2 where id = $1",
        place: |row| Ok(apps::context("aes_key", row.try_get(1)?)),
    },
    Column {
        read: "select id, app_id, token_source from app where id > $1 and token_source is not null order by id limit $2",
        write: "update app set token_source = $2 where id = $1",
        place: |row| Ok(apps::context("token_source", row.try_get(1)?)),
    },
    Column {
        read: "select k.id, a.app_id, k.callback_token from previous_keys k join app a on a.id = k.app
               where k.id > $1 order by k.id limit $2",
        write: "update previous_keys set callback_token = $2 where id = $1",
        place: |row| Ok(apps::context("callback_token", row.try_get(1)?)),
    },
    Column {
        read: "select k.id, a.app_id, k.aes_key from previous_keys k join app a on a.id = k.app
               where k.id > $1 and k.aes_key is not null order by k.id limit $2",
        write: "update previous_keys set aes_key = $2 where id = $1",
        place: |row| Ok(apps::context("aes_key", row.try_get(1)?)),
    },
    Column {
        read: "select app, app, token from access_token where app > $1 order by app limit $2",
        write: "update access_token set token = $2 where app = $1",
        place: |row| Ok(tokens::context(row.try_get(1)?)),
    },
    Column {
        read: "select number, id, secret from webhook where number > $1 order by number limit $2",
        write: "update webhook set secret = $2 where number = $1",
        place: |row| Ok(webhooks::context(uuid(row.try_get(1)?)?)),
    },
    Column {
        read:
            "select number, id, previous_secret from webhook where number > $1 and previous_secret is not null
               order by number limit $2",
        write: "update webhook set previous_secret = $2 where number = $1",
        place: |row| Ok(webhooks::context(uuid(row.try_get(1)?)?)),
    },
    Column {
        read: "select number, id, sealed_url from webhook where number > $1 and sealed_url is not null
               order by number limit $2",
        write: "update webhook set sealed_url = $2 where number = $1",
        place: |row| Ok(webhooks::context(uuid(row.try_get(1)?)?)),
    },
];

/// Rows that have an id.
const NAMED: [Column; 2] = [
    Column {
        read: "select inbox, inbox, content from relay where inbox > $1 and content is not null order by inbox limit $2",
        write: "update relay set content = $2 where inbox = $1",
        place: |row| Ok(relay::context(InboxId(uuid(row.try_get(1)?)?))),
    },
    Column {
        read: "select id, id, openid from erasure where id > $1 and openid is not null order by id limit $2",
        write: "update erasure set openid = $2 where id = $1",
        place: |row| Ok(erasure::context(InboxId(uuid(row.try_get(1)?)?))),
    },
];

/// The key of a row.
#[derive(Debug, Clone)]
enum Key {
    Number(i64),
    Id(Vec<u8>),
}

impl<'q> From<Key> for db::Value<'q> {
    fn from(key: Key) -> Self {
        match key {
            Key::Number(number) => number.into(),
            Key::Id(id) => id.into(),
        }
    }
}

impl Store {
    /// Puts the key that the store was opened with in the place of the former one (see [`crate::MasterKey::in_place_of`]). What broke
    /// off is ended by giving the same again.
    ///
    /// # Errors
    /// [`RekeyError::Served`] where nodes run: then nothing is changed. Of a file, opening it as a worker tells.
    pub async fn change_master_key(&self) -> Result<Rekeyed, RekeyError> {
        self.note_next_key(Some(self.master.id())).await?;
        let running = self.running().await?;
        if !running.is_empty() {
            self.note_next_key(None).await?;
            return Err(RekeyError::Served(running.join(", ")));
        }
        let mut done = Rekeyed::default();
        for column in &NUMBERED {
            done.secrets += self.rekey_column(column, Key::Number(i64::MIN)).await?;
        }
        for column in &NAMED {
            done.secrets += self.rekey_column(column, Key::Id(Vec::new())).await?;
        }
        done.people = self.rekey_people().await?;
        self.settle_key().await?;
        Ok(done)
    }

    /// From now on nobody else opens the database; or again, where nothing was changed yet.
    async fn note_next_key(&self, next: Option<String>) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let query = match &next {
                        Some(next) => {
                            let keep = "insert into meta (key, value) values ($1, $2) on conflict do nothing";
                            db::query(keep).bind(NEXT_MASTER_KEY).bind(next)
                        }
                        None => db::query("delete from meta where key = $1").bind(NEXT_MASTER_KEY),
                    };
                    query.execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    async fn rekey_column(&self, column: &'static Column, first: Key) -> Result<u64, StoreError> {
        let (mut after, mut count) = (first, 0);
        loop {
            let query = db::query(column.read).bind(after.clone()).bind(PAGE);
            let rows = query.fetch_all(&self.readers).await?;
            let mut anew = Vec::new();
            for row in &rows {
                after = match after {
                    Key::Number(_) => Key::Number(row.try_get(0)?),
                    Key::Id(_) => Key::Id(row.try_get(0)?),
                };
                let sealed: Vec<u8> = row.try_get(2)?;
                if !self.master.sealed(&sealed) {
                    let place = (column.place)(row)?;
                    let plain = Zeroizing::new(self.master.open_bytes(&sealed, &place)?);
                    anew.push((after.clone(), self.master.seal_bytes(&plain, &place, &*self.entropy)));
                }
            }
            if rows.is_empty() {
                return Ok(count);
            }
            count += u64::try_from(anew.len()).unwrap_or(0);
            self.write_anew(column.write, anew).await?;
        }
    }

    async fn write_anew(&self, write: &'static str, anew: Vec<(Key, Vec<u8>)>) -> Result<(), StoreError> {
        if anew.is_empty() {
            return Ok(());
        }
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    for (key, sealed) in anew {
                        db::query(write).bind(key).bind(sealed).execute(&mut *db).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Those too of apps that were removed. Whoever was done before a change broke off is done once more.
    async fn rekey_people(&self) -> Result<u64, StoreError> {
        let apps: Vec<i64> =
            db::query_scalar("select distinct app from subscriber").fetch_all(&self.readers).await?;
        let mut count = 0;
        for app in apps {
            let mut after = None;
            loop {
                let (mut people, next) = self.people(app, after, PAGE).await?;
                people.retain(|person| !person.sensitive.is_empty());
                count += u64::try_from(people.len()).unwrap_or(0);
                if !people.is_empty() {
                    self.put_people(app, people).await?;
                }
                if next.is_none() {
                    break;
                }
                after = next;
            }
        }
        Ok(count)
    }

    /// The change is whole: the new key is the key. The code of a fresh installation goes with it; there is always another one.
    async fn settle_key(&self) -> Result<(), StoreError> {
        let id = self.master.id();
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query("update meta set value = $2 where key = $1")
                        .bind(MASTER_KEY)
                        .bind(id)
                        .execute(&mut *db)
                        .await?;
                    db::query("delete from meta where key in ($1, $2)")
                        .bind(NEXT_MASTER_KEY)
                        .bind(SETUP_CODE)
                        .execute(db)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

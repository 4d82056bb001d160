//! People by what the team knows of them: external ids, tags, attributes; and the guests of an app on trial. Used by the service.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{Lane, Millis};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::Store;
use crate::db::{self, Db, Engine, Row};
use crate::error::StoreError;
use crate::hot::json;

/// The name under which people are found by the team's own number.
pub const EXTERNAL_ID: &str = "external_id";

/// Somebody, with what the team knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Who.
    pub openid: String,
    /// The team's own number, unique in the app.
    pub external_id: Option<String>,
    /// WeChat's number across apps.
    pub unionid: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Attributes that may be shown.
    pub attributes: Map<String, Value>,
    /// Attributes that are kept sealed.
    pub sensitive: Map<String, Value>,
    /// Attributes by which the person can be found (of either kind).
    pub keys: BTreeSet<String>,
    /// First known.
    pub created_at: Millis,
    /// Last change.
    pub updated_at: Millis,
}

/// What became of somebody who was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonKept {
    /// New here.
    Created,
    /// Known before.
    Updated,
    /// The external id is somebody else's.
    Taken,
}

/// Where a page of people goes on: lane and openid.
pub type PersonKey = (i64, String);

/// A row of `person_key`: lane, name, value in hex.
type Key = (u16, String, String);

const READ: &str = "
select s.openid, s.external_id, s.unionid, s.tags, s.attributes, s.sensitive, s.keys, s.created_at, s.updated_at, s.lane
from subscriber s";
const OF: &str = "
where s.app = $1 and (s.lane, s.openid) in (select b.lane, b.openid from [$2: lane int2, openid text] b)";
const PAGE: &str = "where s.app = $1 and (s.lane, s.openid) > ($2, $3) order by s.lane, s.openid limit $4";
const HOLDERS: &str = "
select k.lane, k.name, k.value, k.openid from [$2: lane int2, name text, value bytes] b
join person_key k on k.lane = b.lane and k.app = $1 and k.name = b.name and k.value = b.value";
const FORGET_KEYS: &str = "
delete from person_key where app = $1 and (lane, name, value, openid) in
    (select b.lane, b.name, b.value, b.openid from [$2: lane int2, name text, value bytes, openid text] b)";
const ADD_KEYS: &str = "
insert into person_key (app, lane, name, value, openid)
select $1, b.lane, b.name, b.value, b.openid from [$2: lane int2, name text, value bytes, openid text] b where true
on conflict do nothing";
const WRITE: &str = "
insert into subscriber (lane, app, openid, external_id, unionid, tags, attributes, sensitive, keys, created_at, updated_at)
select b.lane, $1, b.openid, b.external_id, b.unionid, b.tags, b.attributes, b.sensitive, b.keys, b.at, b.at
from [$2: openid text, lane int2, external_id text, unionid text, tags text, attributes text, sensitive bytes, keys text, at int8] b
where true
on conflict (lane, app, openid) do update set external_id = excluded.external_id, unionid = excluded.unionid,
    tags = excluded.tags, attributes = excluded.attributes, sensitive = excluded.sensitive, keys = excluded.keys,
    updated_at = excluded.updated_at";

impl Store {
    /// Keeps what is known of people, in place of what was; the verdicts stand in the same order.
    ///
    /// # Errors
    /// Where the database is away: then nothing is kept.
    pub async fn put_people(&self, app: i64, people: Vec<Person>) -> Result<Vec<PersonKept>, StoreError> {
        let rows: Vec<(Person, Vec<Key>, Option<Vec<u8>>)> = people
            .into_iter()
            .map(|person| {
                let keys = self.keys_of(app, &person);
                let sealed = self.sealed(app, &person);
                (person, keys, sealed)
            })
            .collect();
        let lanes = self.lanes();
        self.writer.cold(move |db, _| Box::pin(write(db, app, rows, lanes))).await
    }

    /// One person.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn person(&self, app: i64, openid: &str) -> Result<Option<Person>, StoreError> {
        Ok(self.people_of(app, &[openid.to_owned()]).await?.remove(openid))
    }

    /// Those of some people who are known.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn people_of(
        &self,
        app: i64,
        openids: &[String],
    ) -> Result<HashMap<String, Person>, StoreError> {
        let wanted: Vec<_> =
            openids.iter().map(|openid| (self.lanes().of_openid(openid).0, openid)).collect();
        let query = db::query(format!("{READ} {OF}")).bind(app).bind(json(&wanted)?);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| self.read(app, row).map(|person| (person.openid.clone(), person))).collect()
    }

    /// A page of an app's people.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn people(
        &self,
        app: i64,
        after: Option<PersonKey>,
        limit: i64,
    ) -> Result<(Vec<Person>, Option<PersonKey>), StoreError> {
        let (lane, openid) = after.unwrap_or((-1, String::new()));
        let query = db::query(format!("{READ} {PAGE}"));
        let rows = query.bind(app).bind(lane).bind(openid).bind(limit).fetch_all(&self.readers).await?;
        let full = i64::try_from(rows.len()).unwrap_or(0) == limit;
        let next = match rows.last().filter(|_| full) {
            Some(row) => Some((row.try_get(9)?, row.try_get(0)?)),
            None => None,
        };
        Ok((rows.iter().map(|row| self.read(app, row)).collect::<Result<_, _>>()?, next))
    }

    /// Who has these external ids, or these values of a key attribute.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn resolve_people(
        &self,
        app: i64,
        name: &str,
        sensitive: bool,
        values: &[String],
    ) -> Result<HashMap<String, Vec<String>>, StoreError> {
        let by_key: HashMap<Key, &String> =
            values.iter().map(|value| (self.key(app, name, value, sensitive), value)).collect();
        let wanted: Vec<&Key> = by_key.keys().collect();
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        let query = db::query(HOLDERS).bind(app).bind(json(&wanted)?);
        for row in query.fetch_all(&self.readers).await? {
            let (key, openid) = holder(&row)?;
            if let Some(value) = by_key.get(&key) {
                found.entry((*value).clone()).or_default().push(openid);
            }
        }
        Ok(found)
    }

    /// The guests of an app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn guests(&self, app: Option<i64>) -> Result<Vec<(i64, String, Option<String>)>, StoreError> {
        db::query("select app, openid, note from guest where $1 is null or app = $1 order by app, openid")
            .bind(app)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
            .collect()
    }

    /// Adds a guest, or changes the note.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn put_guest(
        &self,
        app: i64,
        openid: String,
        note: Option<String>,
        at: Millis,
    ) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "insert into guest (app, openid, note, created_at) values ($1, $2, $3, $4)
                         on conflict (app, openid) do update set note = excluded.note",
                    )
                    .bind(app)
                    .bind(openid)
                    .bind(note)
                    .bind(at)
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Removes a guest; tells whether there was one.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn remove_guest(&self, app: i64, openid: String) -> Result<bool, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let query = db::query("delete from guest where app = $1 and openid = $2");
                    Ok(query.bind(app).bind(openid).execute(db).await?.rows_affected() > 0)
                })
            })
            .await
    }

    fn keys_of(&self, app: i64, person: &Person) -> Vec<Key> {
        let mut keys = Vec::new();
        if let Some(external_id) = &person.external_id {
            keys.push(self.key(app, EXTERNAL_ID, external_id, false));
        }
        for name in &person.keys {
            let plain = person.attributes.get(name).map(|value| (value, false));
            let sealed = person.sensitive.get(name).map(|value| (value, true));
            if let Some((value, sensitive)) = plain.or(sealed) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                keys.push(self.key(app, name, &text, sensitive));
            }
        }
        keys
    }

    fn key(&self, app: i64, name: &str, value: &str, sensitive: bool) -> Key {
        let bytes = if sensitive {
            self.master.keyed_hash(&format!("person_key {app} {name}"), value).to_vec()
        } else {
            value.as_bytes().to_vec()
        };
        let lane = self.lanes().of_key(app, &format!("{name}\0{}", hex::encode(Sha256::digest(&bytes))));
        (lane.0, name.to_owned(), hex::encode_upper(bytes))
    }

    fn sealed(&self, app: i64, person: &Person) -> Option<Vec<u8>> {
        if person.sensitive.is_empty() {
            return None;
        }
        let text = SecretString::from(Value::Object(person.sensitive.clone()).to_string());
        Some(self.master.seal(&text, &context(app, &person.openid), &*self.entropy))
    }

    fn read(&self, app: i64, row: &Row) -> Result<Person, StoreError> {
        let corrupt = |_| StoreError::Corrupt("subscriber");
        let openid: String = row.try_get(0)?;
        let sensitive = match row.try_get::<Option<Vec<u8>>>(5)? {
            Some(sealed) => {
                let plain = self.master.open(&sealed, &context(app, &openid))?;
                serde_json::from_str(plain.expose_secret()).map_err(corrupt)?
            }
            None => Map::new(),
        };
        let keys: Vec<Key> = serde_json::from_str(row.try_get(6)?).map_err(corrupt)?;
        Ok(Person {
            external_id: row.try_get(1)?,
            unionid: row.try_get(2)?,
            tags: serde_json::from_str(row.try_get(3)?).map_err(corrupt)?,
            attributes: serde_json::from_str(row.try_get(4)?).map_err(corrupt)?,
            sensitive,
            keys: keys.into_iter().map(|(_, name, _)| name).filter(|name| name != EXTERNAL_ID).collect(),
            created_at: row.try_get(7)?,
            updated_at: row.try_get(8)?,
            openid,
        })
    }
}

fn context(app: i64, openid: &str) -> String {
    format!("subscriber.sensitive {app} {openid}")
}

fn holder(row: &Row) -> Result<(Key, String), StoreError> {
    let value = hex::encode_upper(row.try_get::<&[u8]>(2)?);
    Ok(((row.try_get(0)?, row.try_get(1)?, value), row.try_get(3)?))
}

/// Whoever changes people of an app waits for others who do, for the same external id may be given twice, and a key left that
/// nobody knows of. SQLite has one writer.
async fn one_at_a_time(db: &mut Db, app: i64) -> Result<(), StoreError> {
    if db.engine() == Engine::Postgres {
        db::query("select id from app where id = $1 for no key update").bind(app).fetch_optional(db).await?;
    }
    Ok(())
}

async fn write(
    db: &mut Db,
    app: i64,
    rows: Vec<(Person, Vec<Key>, Option<Vec<u8>>)>,
    lanes: domain::Lanes,
) -> Result<Vec<PersonKept>, StoreError> {
    one_at_a_time(db, app).await?;
    let lane = |openid: &str| -> Lane { lanes.of_openid(openid) };
    let wanted: Vec<_> = rows.iter().map(|(person, ..)| (lane(&person.openid).0, &person.openid)).collect();
    let before = "select s.openid, s.keys from subscriber s";
    let query = db::query(format!("{before} {OF}")).bind(app).bind(json(&wanted)?);
    let mut known: HashMap<String, Vec<Key>> = HashMap::new();
    for row in query.fetch_all(&mut *db).await? {
        let keys =
            serde_json::from_str(row.try_get(1)?).map_err(|_| StoreError::Corrupt("subscriber.keys"))?;
        known.insert(row.try_get(0)?, keys);
    }
    let external: Vec<&Key> =
        rows.iter().flat_map(|(_, keys, _)| keys).filter(|key| key.1 == EXTERNAL_ID).collect();
    let mut holders: HashMap<Key, String> = HashMap::new();
    for row in db::query(HOLDERS).bind(app).bind(json(&external)?).fetch_all(&mut *db).await? {
        let (key, openid) = holder(&row)?;
        holders.insert(key, openid);
    }
    let mut verdicts = Vec::with_capacity(rows.len());
    // By person: of two lines about one person the later one is kept.
    let mut kept = BTreeMap::new();
    let mut gone = Vec::new();
    for (person, keys, sealed) in &rows {
        let external = keys.iter().find(|key| key.1 == EXTERNAL_ID);
        if external.and_then(|key| holders.get(key)).is_some_and(|holder| *holder != person.openid) {
            verdicts.push(PersonKept::Taken);
            continue;
        }
        let old = known.insert(person.openid.clone(), keys.clone());
        verdicts.push(if old.is_some() { PersonKept::Updated } else { PersonKept::Created });
        for key in old.into_iter().flatten() {
            if key.1 == EXTERNAL_ID && !keys.contains(&key) {
                holders.remove(&key);
            }
            gone.push((key.0, key.1, key.2, person.openid.clone()));
        }
        if let Some(key) = external {
            holders.insert(key.clone(), person.openid.clone());
        }
        kept.insert(&person.openid, (person, keys, sealed));
    }
    if !gone.is_empty() {
        db::query(FORGET_KEYS).bind(app).bind(json(&gone)?).execute(&mut *db).await?;
    }
    let mut people = Vec::with_capacity(kept.len());
    let mut added = Vec::new();
    for (person, keys, sealed) in kept.into_values() {
        people.push((
            &person.openid,
            lane(&person.openid).0,
            &person.external_id,
            &person.unionid,
            serde_json::to_string(&person.tags).unwrap_or_default(),
            Value::Object(person.attributes.clone()).to_string(),
            sealed.as_ref().map(hex::encode),
            serde_json::to_string(keys).unwrap_or_default(),
            person.updated_at,
        ));
        added.extend(keys.iter().map(|key| (key.0, &key.1, &key.2, &person.openid)));
    }
    db::query(WRITE).bind(app).bind(json(&people)?).execute(&mut *db).await?;
    db::query(ADD_KEYS).bind(app).bind(json(&added)?).execute(db).await?;
    Ok(verdicts)
}

/// Forgets somebody: what the team knew, how the person was found, the place among the guests.
pub(crate) async fn forget(db: &mut Db, app: i64, lane: u16, openid: &str) -> Result<(), StoreError> {
    one_at_a_time(db, app).await?;
    let known: Option<(String, Option<String>)> =
        db::query_as("select keys, external_id from subscriber where lane = $1 and app = $2 and openid = $3")
            .bind(lane)
            .bind(app)
            .bind(openid)
            .fetch_optional(&mut *db)
            .await?;
    if let Some((keys, external_id)) = known {
        // Lists may name the person by the team's own number.
        if let Some(external_id) = external_id {
            db::query(
                "update recipient set given = '', vars = $3 where kind = 'external_id' and given = $2
                     and list in (select list from campaign where app = $1 and list is not null)",
            )
            .bind(app)
            .bind(external_id)
            .bind("{}")
            .execute(&mut *db)
            .await?;
        }
        let keys: Vec<Key> =
            serde_json::from_str(&keys).map_err(|_| StoreError::Corrupt("subscriber.keys"))?;
        let gone: Vec<_> = keys.into_iter().map(|key| (key.0, key.1, key.2, openid)).collect();
        db::query(FORGET_KEYS).bind(app).bind(json(&gone)?).execute(&mut *db).await?;
    }
    for statement in [
        "delete from subscriber where lane = $1 and app = $2 and openid = $3",
        "delete from guest where $1 is not null and app = $2 and openid = $3",
        // Lists of campaigns that have not been made into messages yet.
        "update recipient set given = '', vars = $4 where $1 is not null
             and (given = $3 or <<instr|strpos>>(vars, $3) > 0)
             and list in (select list from campaign where app = $2 and list is not null)",
    ] {
        db::query(statement).bind(lane).bind(app).bind(openid).bind("{}").execute(&mut *db).await?;
    }
    Ok(())
}

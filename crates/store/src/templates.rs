//! Templates: what the last sync read from WeChat, and the numbers by which the hot tables name them. A
//! template that an event names before any sync gets its number then.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use domain::Millis;
use domain::ledger::TemplateKind;

use crate::Store;
use crate::db::{self, Db, Engine, Row};
use crate::error::StoreError;
use crate::hot::json;

/// A template as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTemplate {
    /// Its number.
    pub number: i64,
    /// WeChat's id.
    pub template_id: String,
    /// Its title; empty until the first sync.
    pub title: String,
    /// One-time or long-term; one-time until a sync says otherwise.
    pub kind: TemplateKind,
    /// WeChat's content text.
    pub content: String,
    /// WeChat's example text.
    pub example: String,
    /// The parsed fields as JSON, written by the service.
    pub fields: String,
    /// When a sync last saw it.
    pub synced_at: Option<Millis>,
    /// When a sync first missed it.
    pub gone_at: Option<Millis>,
    /// The fields of before the last change, as JSON, and when a sync noticed that.
    pub changed: Option<(String, Millis)>,
}

/// What a sync found different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The template's number.
    pub number: i64,
    /// WeChat's id.
    pub template_id: String,
    /// Its fields before, as JSON; none where it has vanished.
    pub before: Option<String>,
}

/// A template as a sync read it.
#[derive(Debug, Clone)]
pub struct SyncedTemplate {
    /// WeChat's id.
    pub template_id: String,
    /// Its title.
    pub title: String,
    /// One-time or long-term.
    pub kind: TemplateKind,
    /// WeChat's content text.
    pub content: String,
    /// WeChat's example text.
    pub example: String,
    /// The parsed fields as JSON.
    pub fields: String,
}

type Numbers = HashMap<(i64, String), i64>;

/// Where several nodes write, each may sync the templates: what was read longer ago is read again.
const FRESH: Duration = Duration::from_secs(1);

/// Numbers and kinds that were read before; forgotten whenever a transaction fails.
#[derive(Default)]
pub(crate) struct TemplateIds {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    numbers: Numbers,
    /// With whether it need not be read again. One that must be still answers whoever is in the midst of a batch: another lane's
    /// failure must not turn a long-term template into a one-time one.
    kinds: HashMap<i64, (TemplateKind, bool)>,
    /// When it was last forgotten by age.
    since: Option<Instant>,
}

impl Known {
    fn forget(&mut self) {
        self.numbers.clear();
        self.kinds.values_mut().for_each(|kind| kind.1 = false);
    }

    fn is_old(&self) -> bool {
        self.since.is_none_or(|since| since.elapsed() > FRESH)
    }
}

const NUMBERS: &str = "
select t.app, t.template_id, t.id, t.kind from [$1: app int8, template_id text] b
join template t on t.app = b.app and t.template_id = b.template_id";
const BY_NUMBER: &str =
    "select app, template_id, id, kind from template where id in (select b.id from [$1 each: id int8] b)";
const ENSURE: &str = "
insert into template (app, template_id, title, kind, content, example, fields)
select b.app, b.template_id, '', 2, '', '', '[]' from [$1: app int8, template_id text] b where true
on conflict (app, template_id) do nothing";

impl TemplateIds {
    /// The numbers of the wanted templates, made where there are none.
    pub(crate) async fn ensure(
        &self,
        db: &mut Db,
        wanted: Vec<(i64, String)>,
    ) -> Result<Numbers, StoreError> {
        self.age(db.engine());
        let mut numbers = Numbers::new();
        let mut missing = Vec::new();
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            for key in wanted {
                match known.numbers.get(&key) {
                    Some(number) => drop(numbers.insert(key, *number)),
                    None => missing.push(key),
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        for create in [false, true] {
            if missing.is_empty() {
                break;
            }
            let wanted = json(&missing)?;
            if create {
                db::query(ENSURE).bind(&wanted).execute(&mut *db).await?;
            }
            for row in db::query(NUMBERS).bind(&wanted).fetch_all(&mut *db).await? {
                let key: (i64, String) = (row.try_get(0)?, row.try_get(1)?);
                let (number, kind) = (row.try_get(2)?, kind(row.try_get(3)?));
                // Where several write at once, one that is made here is remembered when it is found committed.
                if !create || db.engine() == Engine::Sqlite {
                    self.learn(key.clone(), number, kind);
                } else {
                    self.learn_for_now(number, kind);
                }
                numbers.insert(key, number);
            }
            missing.retain(|key| !numbers.contains_key(key));
        }
        Ok(numbers)
    }

    /// Reads the kinds of templates that are known by number only: an outcome names no template id.
    pub(crate) async fn load_kinds(
        &self,
        db: &mut Db,
        numbers: impl Iterator<Item = i64>,
    ) -> Result<(), StoreError> {
        self.age(db.engine());
        let missing: Vec<i64> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let is_read = |number: &i64| known.kinds.get(number).is_some_and(|kind| kind.1);
            let unread: BTreeSet<i64> = numbers.filter(|number| !is_read(number)).collect();
            unread.into_iter().collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        for row in db::query(BY_NUMBER).bind(json(&missing)?).fetch_all(db).await? {
            self.learn((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?, kind(row.try_get(3)?));
        }
        Ok(())
    }

    fn learn(&self, key: (i64, String), number: i64, kind: TemplateKind) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.kinds.insert(number, (kind, true));
        known.numbers.insert(key, number);
    }

    /// The kind of one that may never be committed, for this pass.
    fn learn_for_now(&self, number: i64, kind: TemplateKind) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.kinds.get(&number).is_none_or(|known| !known.1) {
            known.kinds.insert(number, (kind, false));
        }
    }

    /// Forgets what is old; a file's only writer sees by itself that somebody else wrote.
    fn age(&self, engine: Engine) {
        if engine == Engine::Sqlite || !self.known.read().unwrap_or_else(PoisonError::into_inner).is_old() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_old() {
            known.forget();
            known.since = Some(Instant::now());
        }
    }

    /// Whether grants of a template are counted; what nobody has read yet counts as one-time.
    pub(crate) fn kind(&self, number: i64) -> TemplateKind {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.kinds.get(&number).map_or(TemplateKind::OneTime, |kind| kind.0)
    }

    pub(crate) fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).forget();
    }
}

fn kind(code: i16) -> TemplateKind {
    if code == 3 { TemplateKind::LongTerm } else { TemplateKind::OneTime }
}

/// WeChat's own numbers of the kinds.
fn kind_code(kind: TemplateKind) -> i16 {
    match kind {
        TemplateKind::OneTime => 2,
        TemplateKind::LongTerm => 3,
    }
}

const SYNC: &str = "
insert into template (app, template_id, title, kind, content, example, fields, synced_at, gone_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, null)
on conflict (app, template_id) do update set title = excluded.title, kind = excluded.kind, content = excluded.content,
    example = excluded.example, fields = excluded.fields, synced_at = excluded.synced_at, gone_at = null";
const COLUMNS: &str =
    "id, template_id, title, kind, content, example, fields, synced_at, gone_at, changed_from, changed_at";

impl Store {
    /// Records what a sync read: new and changed templates, and which are gone.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn sync_templates(
        &self,
        app: i64,
        mut read: Vec<SyncedTemplate>,
        now: Millis,
    ) -> Result<Vec<Drift>, StoreError> {
        self.writer
            .cold(move |db, context| {
                Box::pin(async move {
                    if db.engine() == Engine::Postgres {
                        // One sync of an app after the other: what the first found is no news to the second. In the order in
                        // which events make theirs, so that the two never wait for each other.
                        db::query("select id from app where id = $1 for no key update")
                            .bind(app)
                            .fetch_optional(&mut *db)
                            .await?;
                        read.sort_by(|a, b| a.template_id.cmp(&b.template_id));
                    }
                    let mut before = HashMap::new();
                    for row in db::query_as::<(String, String, Option<i64>, i64)>(
                        "select template_id, fields, gone_at, id from template where app = $1 and synced_at is not null",
                    )
                    .bind(app)
                    .fetch_all(&mut *db)
                    .await?
                    {
                        before.insert(row.0.clone(), row);
                    }
                    let mut drifts = Vec::new();
                    for t in &read {
                        if let Some((id, fields, _, number)) = before.get(&t.template_id).filter(|known| known.1 != t.fields) {
                            drifts.push(Drift { number: *number, template_id: id.clone(), before: Some(fields.clone()) });
                            db::query("update template set changed_from = $2, changed_at = $3 where id = $1")
                                .bind(number)
                                .bind(fields)
                                .bind(now)
                                .execute(&mut *db)
                                .await?;
                        }
                        db::query(SYNC)
                            .bind(app)
                            .bind(&t.template_id)
                            .bind(&t.title)
                            .bind(kind_code(t.kind))
                            .bind(&t.content)
                            .bind(&t.example)
                            .bind(&t.fields)
                            .bind(now)
                            .execute(&mut *db)
                            .await?;
                    }
                    db::query("update template set gone_at = $2 where app = $1 and gone_at is null and synced_at is not null and synced_at <> $2")
                        .bind(app)
                        .bind(now)
                        .execute(&mut *db)
                        .await?;
                    for (id, _, gone, number) in before.into_values() {
                        if gone.is_none() && !read.iter().any(|t| t.template_id == id) {
                            drifts.push(Drift { number, template_id: id, before: None });
                        }
                    }
                    context.templates.forget();
                    Ok(drifts)
                })
            })
            .await
    }

    /// The templates of an app, by title.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn templates(&self, app: i64) -> Result<Vec<StoredTemplate>, StoreError> {
        let statement = format!("select {COLUMNS} from template where app = $1 order by title, id");
        let rows = db::query(statement).bind(app).fetch_all(&self.readers).await?;
        rows.iter().map(stored).collect()
    }

    /// One template of an app by WeChat's id.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn template(&self, app: i64, template_id: &str) -> Result<Option<StoredTemplate>, StoreError> {
        let statement = format!("select {COLUMNS} from template where app = $1 and template_id = $2");
        let row = db::query(statement).bind(app).bind(template_id).fetch_optional(&self.readers).await?;
        row.as_ref().map(stored).transpose()
    }

    /// One template by its number.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn template_by_number(&self, number: i64) -> Result<Option<StoredTemplate>, StoreError> {
        let statement = format!("select {COLUMNS} from template where id = $1");
        let row = db::query(statement).bind(number).fetch_optional(&self.readers).await?;
        row.as_ref().map(stored).transpose()
    }
}

fn stored(row: &Row) -> Result<StoredTemplate, StoreError> {
    Ok(StoredTemplate {
        number: row.try_get(0)?,
        template_id: row.try_get(1)?,
        title: row.try_get(2)?,
        kind: kind(row.try_get(3)?),
        content: row.try_get(4)?,
        example: row.try_get(5)?,
        fields: row.try_get(6)?,
        synced_at: row.try_get(7)?,
        gone_at: row.try_get(8)?,
        changed: row.try_get::<Option<String>>(9)?.zip(row.try_get(10)?),
    })
}

//! Uploaded sheets: the file while it may have to be read again, how it was read, and what was found. Its rows are a list of
//! recipients ([`crate::campaigns::ListedRecipient`]). Used by the service.

use domain::Millis;
use uuid::Uuid;

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;

/// An upload.
#[derive(Debug, Clone)]
pub struct StoredUpload {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub app: i64,
    /// The file's name.
    pub name: String,
    /// How it is read, as JSON.
    pub asked: String,
    /// What was found, as JSON.
    pub found: String,
    /// Where its rows stand.
    pub list: Uuid,
    /// Who uploaded it.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
}

const COLUMNS: &str = "select id, app, name, asked, found, list, created_by, created_at from upload";
/// The latest attempts of a person form a chain (`subscription.last_sent`, `message_state.previous_sent`).
const TEXTS: &str = "
with recursive sent (lane, id, depth) as (
    select s.lane, s.last_sent, 1 from [$1: lane int2, openid text] b
    join subscription s on s.lane = b.lane and s.template = $2 and s.openid = b.openid where s.last_sent is not null
    union all
    select m.lane, m.previous_sent, sent.depth + 1 from sent join message_state m on m.lane = sent.lane and m.id = sent.id
    where m.previous_sent is not null and sent.depth < 5 and m.attempt_at >= $3)
select m.openid, m.data from sent join message_state s on s.lane = sent.lane and s.id = sent.id
join message m on m.lane = sent.lane and m.id = sent.id
where s.attempt_at >= $3 and m.openid <> ''";

impl Store {
    /// Keeps an upload with its file.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn add_upload(&self, upload: StoredUpload, file: Vec<u8>) -> Result<(), StoreError> {
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "insert into upload (id, app, name, file, asked, found, list, created_by, created_at)
                         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    )
                    .bind(upload.id.as_bytes().to_vec())
                    .bind(upload.app)
                    .bind(upload.name)
                    .bind(file)
                    .bind(upload.asked)
                    .bind(upload.found)
                    .bind(upload.list.as_bytes().to_vec())
                    .bind(upload.created_by)
                    .bind(upload.created_at)
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// What another reading of the file found; its rows are in another list.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn read_upload_again(
        &self,
        id: Uuid,
        asked: String,
        found: String,
        list: Uuid,
    ) -> Result<(), StoreError> {
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    db::query("update upload set asked = $2, found = $3, list = $4 where id = $1")
                        .bind(id.as_bytes().to_vec())
                        .bind(asked)
                        .bind(found)
                        .bind(list.as_bytes().to_vec())
                        .execute(db)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// An upload of an app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn upload(&self, app: i64, id: Uuid) -> Result<Option<StoredUpload>, StoreError> {
        let query = db::query(format!("{COLUMNS} where id = $1 and app = $2"));
        let row = query.bind(id.as_bytes().to_vec()).bind(app).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// The uploads of an app, newest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn uploads(&self, app: i64, limit: i64) -> Result<Vec<StoredUpload>, StoreError> {
        let query = db::query(format!("{COLUMNS} where app = $1 order by id desc limit $2"));
        query.bind(app).bind(limit).fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// The file of an upload, while it is kept.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn upload_file(&self, id: Uuid) -> Result<Option<Vec<u8>>, StoreError> {
        let query = db::query_scalar("select file from upload where id = $1");
        let file: Option<Option<Vec<u8>>> =
            query.bind(id.as_bytes().to_vec()).fetch_optional(&self.readers).await?;
        Ok(file.flatten())
    }

    /// The upload whose rows are this list.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn upload_of_list(&self, app: i64, list: Uuid) -> Result<Option<StoredUpload>, StoreError> {
        let query = db::query(format!("{COLUMNS} where app = $1 and list = $2"));
        let row = query.bind(app).bind(list.as_bytes().to_vec()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// Forgets an upload. Of one that a campaign was made of the rows stay, and what its columns are called.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn forget_upload(&self, id: Uuid) -> Result<(), StoreError> {
        self.forget_uploads("id = $1", id.as_bytes().to_vec()).await
    }

    /// The same for all of an app: nothing of an erased person stays in a file.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn forget_uploads_of(&self, app: i64) -> Result<(), StoreError> {
        self.forget_uploads("app = $1", app).await
    }

    /// The same for those of before a moment.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn forget_uploads_before(&self, before: Millis) -> Result<(), StoreError> {
        let some = db::query_scalar(
            "select exists (select 1 from upload where created_at < $1 and file is not null)",
        );
        if some.bind(before).fetch_one(&self.readers).await? {
            self.forget_uploads("created_at < $1", before).await?;
        }
        Ok(())
    }

    async fn forget_uploads<T>(&self, which: &'static str, value: T) -> Result<(), StoreError>
    where
        T: Into<db::Value<'static>> + Clone + Send + Sync + 'static,
    {
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let unused = format!(
                        "delete from upload where {which} and not exists (select 1 from campaign c where c.list = upload.list) returning list"
                    );
                    let query = db::query_scalar(unused);
                    let lists: Vec<Vec<u8>> = query.bind(value.clone()).fetch_all(&mut *db).await?;
                    for list in lists {
                        db::query("delete from recipient where list = $1").bind(list).execute(&mut *db).await?;
                    }
                    let used = format!("update upload set file = null where {which} and file is not null");
                    db::query(used).bind(value).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    /// What people were sent of a template since a moment: whom, and the fields as JSON. A few of the latest of each are looked at.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn texts_since(
        &self,
        template: i64,
        openids: &[String],
        since: Millis,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let wanted: Vec<_> =
            openids.iter().map(|openid| (self.lanes().of_openid(openid).0, openid)).collect();
        let query = db::query_as(TEXTS).bind(crate::hot::json(&wanted)?).bind(template).bind(since);
        Ok(query.fetch_all(&self.readers).await?)
    }
}

fn read(row: &Row) -> Result<StoredUpload, StoreError> {
    let id = |at: usize| -> Result<Uuid, StoreError> { crate::hot::uuid(row.try_get(at)?) };
    Ok(StoredUpload {
        id: id(0)?,
        app: row.try_get(1)?,
        name: row.try_get(2)?,
        asked: row.try_get(3)?,
        found: row.try_get(4)?,
        list: id(5)?,
        created_by: row.try_get(6)?,
        created_at: row.try_get(7)?,
    })
}

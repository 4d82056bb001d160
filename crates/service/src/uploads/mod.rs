//! Uploaded sheets: read, matched with people and fields, checked cell by cell. What is doubtful is asked, not guessed (I13); a
//! campaign is made of an upload only when nothing is open (docs/adr/0005-uploads.md).

mod asked;
mod blank;
mod columns;
mod lines;
mod peek;
mod reading;
mod report;

use domain::{MessageId, Millis};
use serde_json::Value;
use store::uploads::StoredUpload;
use uuid::Uuid;

pub use self::asked::{Choice, KeyColumn, Mapping, Several, UploadRequest};
pub(crate) use self::blank::unwritten;
pub use self::report::{CellError, Column, Counted, Question, Report, UploadView, Words, WrongRow};
use crate::problem::{FieldError, Kind, Problem};
use crate::{App, Service};

/// Longest name of a file.
const NAME: usize = 200;
/// How long a file is kept, ms.
pub const KEPT: i64 = 7 * 24 * 3_600 * 1_000;
/// Whose day counts as today.
const ZONE: &str = "Asia/Shanghai";
/// Uploads in a list.
const LISTED: i64 = 100;

impl Service {
    /// Reads a file and keeps it.
    ///
    /// # Errors
    /// `validation_failed`; what is wrong with a file that cannot be read at all.
    pub async fn upload(
        &self,
        app: &App,
        name: &str,
        file: Vec<u8>,
        mut asked: UploadRequest,
        by: &str,
    ) -> Result<UploadView, Problem> {
        asked.template_id = asked.template_id.map(|named| app.settings.template_id(named));
        let now = self.now();
        let (id, list) = (self.new_id(), self.new_id());
        let file = std::sync::Arc::<[u8]>::from(file);
        let report = self.read_sheet(app, std::sync::Arc::clone(&file), &asked, list).await?;
        let upload = StoredUpload {
            id,
            app: app.number,
            name: name.chars().filter(|c| !c.is_control()).take(NAME).collect(),
            asked: serde_json::to_string(&asked).unwrap_or_default(),
            found: serde_json::to_string(&report).unwrap_or_default(),
            list,
            created_by: by.to_owned(),
            created_at: now,
        };
        self.store.add_upload(upload.clone(), file.to_vec()).await?;
        Ok(UploadView::of(&upload, report))
    }

    /// Reads a file again: what is given takes the place of what was asked.
    ///
    /// # Errors
    /// `upload_not_found`, `upload_gone`, `validation_failed`.
    pub async fn read_upload_again(&self, app: &App, id: Uuid, change: Value) -> Result<UploadView, Problem> {
        let mut upload = self.stored_upload(app, id).await?;
        let mut asked: Value = serde_json::from_str(&upload.asked).unwrap_or_default();
        let Value::Object(change) = change else { return Err(asked::not_an_object()) };
        for (name, value) in change {
            asked[&name] = value;
        }
        let mut asked = UploadRequest::parse(asked)?;
        asked.template_id = asked.template_id.map(|named| app.settings.template_id(named));
        let file = self.store.upload_file(id).await?.ok_or_else(gone)?;
        let list = self.new_id();
        let report = self.read_sheet(app, file.into(), &asked, list).await?;
        let before = std::mem::replace(&mut upload.list, list);
        upload.asked = serde_json::to_string(&asked).unwrap_or_default();
        upload.found = serde_json::to_string(&report).unwrap_or_default();
        let (asked, found) = (upload.asked.clone(), upload.found.clone());
        self.store.read_upload_again(id, asked, found, list).await?;
        self.store.remove_list(before).await?;
        Ok(UploadView::of(&upload, report))
    }

    /// An upload.
    ///
    /// # Errors
    /// `upload_not_found`.
    pub async fn upload_view(&self, app: &App, id: Uuid) -> Result<UploadView, Problem> {
        let upload = self.stored_upload(app, id).await?;
        let report = report_of(&upload)?;
        Ok(UploadView::of(&upload, report))
    }

    /// How an upload was asked to be read.
    ///
    /// # Errors
    /// `upload_not_found`.
    pub async fn upload_asked(&self, app: &App, id: Uuid) -> Result<UploadRequest, Problem> {
        let upload = self.stored_upload(app, id).await?;
        UploadRequest::parse(serde_json::from_str(&upload.asked).unwrap_or_default())
    }

    /// The latest uploads, newest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn upload_views(&self, app: &App) -> Result<Vec<UploadView>, Problem> {
        let uploads = self.store.uploads(app.number, LISTED).await?;
        uploads.iter().map(|upload| Ok(UploadView::of(upload, report_of(upload)?))).collect()
    }

    /// Forgets an upload. Campaigns that were made of it keep their rows.
    ///
    /// # Errors
    /// `upload_not_found`.
    pub async fn forget_upload(&self, app: &App, id: Uuid) -> Result<(), Problem> {
        self.stored_upload(app, id).await?;
        Ok(self.store.forget_upload(id).await?)
    }

    /// The upload of which a campaign is to be made.
    ///
    /// # Errors
    /// What is open, as an error of the field `/audience/upload_id`, with what was found.
    pub(crate) async fn ready_upload(
        &self,
        app: &App,
        upload_id: &str,
    ) -> Result<Result<(StoredUpload, UploadRequest, Report), (FieldError, Option<Report>)>, Problem> {
        let pointer = "/audience/upload_id";
        let found = match upload_id.parse::<Uuid>() {
            Ok(id) => self.store.upload(app.number, id).await?,
            Err(_) => None,
        };
        let Some(upload) = found else {
            let error = FieldError::new(
                pointer,
                "unknown_upload",
                format!("没有上传文件 {upload_id}。"),
                format!("There is no upload {upload_id}."),
            );
            return Ok(Err((error, None)));
        };
        let report = report_of(&upload)?;
        let asked: UploadRequest = serde_json::from_str(&upload.asked).unwrap_or_default();
        if report.ready {
            return Ok(Ok((upload, asked, report)));
        }
        let (zh, en) = report.open();
        Ok(Err((FieldError::new(pointer, "upload_not_ready", zh, en), Some(report))))
    }

    /// The columns of the sheet that a list was read from, in its order.
    pub(crate) async fn sheet_columns(
        &self,
        app: i64,
        list: Uuid,
    ) -> Result<Option<Vec<crate::campaigns::ListColumn>>, Problem> {
        let Some(upload) = self.store.upload_of_list(app, list).await? else { return Ok(None) };
        let columns = report_of(&upload)?.columns.into_iter();
        let listed =
            |column: Column| crate::campaigns::ListColumn { header: column.header, name: column.name };
        Ok(Some(columns.map(listed).collect()))
    }

    /// Midnight in the time zone of the installation.
    fn midnight(&self) -> Millis {
        let now = jiff::Timestamp::from_millisecond(self.now()).unwrap_or_default();
        let zone = jiff::tz::TimeZone::get(ZONE).unwrap_or(jiff::tz::TimeZone::UTC);
        now.to_zoned(zone).start_of_day().map_or(self.now(), |start| start.timestamp().as_millisecond())
    }

    async fn stored_upload(&self, app: &App, id: Uuid) -> Result<StoredUpload, Problem> {
        self.store.upload(app.number, id).await?.ok_or_else(|| {
            Problem::new(Kind::NotFound, "upload_not_found", "没有这个上传文件。", "There is no such upload.")
        })
    }

    fn new_id(&self) -> Uuid {
        MessageId::new(self.now(), domain::Lane(0), &*self.entropy).0
    }
}

fn report_of(upload: &StoredUpload) -> Result<Report, Problem> {
    serde_json::from_str(&upload.found).map_err(|_| store::StoreError::Corrupt("upload.found").into())
}

fn gone() -> Problem {
    Problem::new(
        Kind::Conflict,
        "upload_gone",
        "这个文件已不再保存（上传 7 天后，或有用户要求删除信息时删除），请重新上传。",
        "The file is no longer kept (it goes after 7 days, or when somebody's data are erased); upload it again.",
    )
}

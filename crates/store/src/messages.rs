//! Handing in messages and reading them, one or as a list. Used by the service.

use domain::message::{Position, State};
use domain::{MessageId, Millis};

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;
use crate::hot::enqueue::{Enqueued, NewMessage, Queue};
use crate::hot::{receipts, uuid};
use crate::writing::Job;

/// An earlier or the present attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Millis,
    /// WeChat's errcode, where it answered.
    pub errcode: Option<i64>,
    /// WeChat's errmsg, or why there was no answer.
    pub errmsg: Option<String>,
    /// Whether it may have been sent all the same.
    pub ambiguous: bool,
}

/// What the sent event said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// When it came.
    pub at: Millis,
    /// 0 where it arrived.
    pub error_code: i64,
    /// WeChat's word.
    pub error_status: String,
}

/// A message with all that is known of it.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Which.
    pub id: MessageId,
    /// The app.
    pub app: i64,
    /// WeChat's template id.
    pub template_id: String,
    /// To whom.
    pub openid: String,
    /// Where it waited or waits.
    pub queue: Queue,
    /// The fields and their values as a JSON object.
    pub data: String,
    /// The page that the card opens.
    pub page: Option<String>,
    /// developer, trial or formal.
    pub version: String,
    /// The card's language.
    pub lang: String,
    /// When it was or is due.
    pub due_at: Millis,
    /// Not after this.
    pub expire_at: Millis,
    /// State, outcome, receipt, cancel.
    pub position: Position,
    /// Every attempt, oldest first.
    pub attempts: Vec<Attempt>,
    /// WeChat's number of the message.
    pub msgid: Option<u64>,
    /// Last errcode.
    pub errcode: Option<i64>,
    /// Last errmsg.
    pub errmsg: Option<String>,
    /// Why it ended without an attempt.
    pub reason: Option<String>,
    /// The campaign that it belongs to.
    pub campaign: Option<uuid::Uuid>,
    /// The sent event.
    pub receipt: Option<StoredReceipt>,
}

impl StoredMessage {
    /// A message as it stands the moment it was handed in.
    pub fn handed_in(new: &NewMessage, template_id: String) -> Self {
        Self {
            id: new.id,
            app: new.app,
            template_id,
            openid: new.openid.clone(),
            queue: new.queue,
            data: new.data.clone(),
            page: new.page.clone(),
            version: new.version.clone(),
            lang: new.lang.clone(),
            due_at: new.due_at,
            expire_at: new.expire_at,
            position: Position::new(new.state),
            attempts: Vec::new(),
            msgid: None,
            errcode: None,
            errmsg: None,
            reason: None,
            campaign: None,
            receipt: None,
        }
    }
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Only these states.
    pub state: Option<State>,
    /// Only to this openid.
    pub openid: Option<String>,
    /// Only this template (by number).
    pub template: Option<i64>,
    /// Only of this campaign (by number).
    pub campaign: Option<i64>,
    /// Not older than this.
    pub since: Option<Millis>,
    /// Older than this.
    pub until: Option<Millis>,
}

/// A page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<MessageId>,
}

pub(crate) const COLUMNS: &str = "m.id, m.app, t.template_id, m.openid, m.queue, m.data, m.page, m.version, m.lang, s.due_at, \
    m.expire_at, s.state, s.outcome, s.receipt, s.cancel_requested, s.attempts, s.attempt_at, s.errcode, s.errmsg, \
    s.msgid, s.receipt_at, s.receipt_code, s.receipt_status, \
    s.attempts > 0 and not exists (select 1 from attempt a where a.lane = s.lane and a.message = s.id and a.number = s.attempts), s.reason, \
    (select c.id from campaign c where c.number = s.campaign) \
    from message m join message_state s on s.lane = m.lane and s.id = m.id join template t on t.id = m.template";
const ONE: &str = "where m.id = $1 and m.app = $2 and m.lane = $3";
const EARLIER: &str = "select at, errcode, errmsg, ambiguous from attempt where message = $1 and number <= $2 and lane = $3 order by number";

impl Store {
    /// Keeps messages to be sent; the verdicts stand in the same order.
    ///
    /// # Errors
    /// Where the database is away: then nothing is kept.
    pub async fn enqueue(&self, messages: Vec<NewMessage>) -> Result<Vec<Enqueued>, StoreError> {
        let hints: Vec<_> = messages.iter().map(|m| (m.id.lane(), m.queue)).collect();
        let verdicts = self.writer.call(Job::Enqueue, messages).await?;
        self.hints.queued(
            hints.into_iter().zip(&verdicts).filter(|(_, v)| **v == Enqueued::Accepted).map(|(hint, _)| hint),
        );
        Ok(verdicts)
    }

    /// One message of an app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn message(&self, app: i64, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        let statement = format!("select {COLUMNS} {ONE}");
        let row = db::query(statement)
            .bind(id.0.as_bytes().as_slice())
            .bind(app)
            .bind(id.lane().0)
            .fetch_optional(&self.readers)
            .await?;
        let Some(mut message) = row.as_ref().map(stored).transpose()? else { return Ok(None) };
        let mut attempts = Vec::new();
        // What the row itself shows is not read again, though it be copied between the two statements.
        let shown: i64 = row.as_ref().map_or(Ok(0), |row| row.try_get(15))?;
        let earlier = shown - i64::from(!message.attempts.is_empty());
        let statement = db::query(EARLIER).bind(id.0.as_bytes().as_slice()).bind(earlier).bind(id.lane().0);
        for row in statement.fetch_all(&self.readers).await? {
            attempts.push(Attempt {
                at: row.try_get(0)?,
                errcode: row.try_get(1)?,
                errmsg: row.try_get(2)?,
                ambiguous: row.try_get(3)?,
            });
        }
        attempts.append(&mut message.attempts);
        message.attempts = attempts;
        Ok(Some(message))
    }
}

/// The least id that can have been made at a moment.
pub(crate) fn first_id_of(at: Millis) -> Vec<u8> {
    let mut id = at.max(0).to_be_bytes()[2..].to_vec();
    id.resize(16, 0);
    id
}

pub(crate) fn stored(row: &Row) -> Result<StoredMessage, StoreError> {
    let position = receipts::position(row, 11)?;
    let (errcode, errmsg): (Option<i64>, Option<String>) = (row.try_get(17)?, row.try_get(18)?);
    let attempt_at: Option<i64> = row.try_get(16)?;
    // A retried attempt was copied to its own table; the row keeps the one that is under way or was the last.
    let present: bool = row.try_get(23)?;
    let answered = position.state != State::Sending;
    let attempts = attempt_at.filter(|_| present).map(|at| Attempt {
        at,
        errcode: errcode.filter(|_| answered),
        errmsg: errmsg.clone().filter(|_| answered),
        // Also where evidence or a policy has ended the question since: the attempt itself had no clear answer.
        ambiguous: position.is_ambiguous() && !matches!(position.state, State::Sending | State::Queued),
    });
    let receipt_at: Option<i64> = row.try_get(20)?;
    let receipt = receipt_at
        .map(|at| {
            Ok::<_, StoreError>(StoredReceipt {
                at,
                error_code: row.try_get::<Option<i64>>(21)?.unwrap_or(0),
                error_status: row.try_get::<Option<String>>(22)?.unwrap_or_default(),
            })
        })
        .transpose()?;
    Ok(StoredMessage {
        id: MessageId(uuid(&row.try_get::<Vec<u8>>(0)?)?),
        app: row.try_get(1)?,
        template_id: row.try_get(2)?,
        openid: row.try_get(3)?,
        queue: Queue(row.try_get(4)?),
        data: row.try_get(5)?,
        page: row.try_get(6)?,
        version: row.try_get(7)?,
        lang: row.try_get(8)?,
        due_at: row.try_get(9)?,
        expire_at: row.try_get(10)?,
        position,
        attempts: attempts.into_iter().collect(),
        msgid: row.try_get::<Option<i64>>(19)?.map(i64::cast_unsigned),
        errcode,
        errmsg,
        reason: row.try_get(24)?,
        campaign: row.try_get::<Option<Vec<u8>>>(25)?.map(|id| uuid(&id)).transpose()?,
        receipt,
    })
}

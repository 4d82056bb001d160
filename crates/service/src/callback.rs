//! What WeChat pushes: verified, decrypted, kept, answered. Called by the API's callback endpoint.
//!
//! `success` is given only for what is durable (I1); nothing has an effect that was not verified (I3).

use domain::clock::{DAY, SECOND};
use domain::entropy::random_bytes;
use domain::{InboxId, Millis};
use sha2::{Digest, Sha256};
use store::hot::append::{Appended, InboxKind, NewInboxRow, Verdict};
use wechat::callback::event::{self, Kind as PushKind, Push};
use wechat::callback::reply::{self, Encryption, Parties};
use wechat::callback::{Mode, OpenError, Opened, Query, VerifyError};

use crate::fresh::FreshPush;
use crate::problem::Problem;
use crate::settings::CustomerService;
use crate::{App, Service};

/// How long the identity of an event is kept (I2); what is older could count twice.
const IDENTITY_LIFE: Millis = 7 * DAY;

/// How a callback is answered.
#[derive(Debug)]
pub enum Answer {
    /// 200 with this text.
    Text(String),
    /// 200 with this body in the app's format.
    Reply {
        /// The body.
        body: String,
        /// Its media type.
        content_type: &'static str,
    },
    /// Not taken.
    Refused {
        /// The status of interfaces.md.
        status: u16,
        /// Why, in a word for logs and metrics.
        reason: &'static str,
        /// For whoever looks at the answer.
        detail: String,
    },
}

/// A Token as WeChat's console takes it.
pub(crate) fn token_fits(token: &str) -> bool {
    (3..=32).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Service {
    /// The verification (GET): the bare `echostr`.
    pub fn verify_callback(&self, app: &App, query: &Query) -> Answer {
        use secrecy::ExposeSecret;
        let tokens: Vec<&str> = app.keys.iter().map(|keys| keys.token.expose_secret()).collect();
        match wechat::callback::verify_url(&tokens, query) {
            Ok(echostr) => Answer::Text(echostr.to_owned()),
            Err(error) => {
                let reason = match error {
                    VerifyError::Missing(_) => "missing_parameter",
                    VerifyError::BadSignature => "bad_signature",
                };
                tracing::warn!(
                    app = app.app_id,
                    reason,
                    "a verification of the callback address was refused"
                );
                Answer::Refused { status: error.http_status(), reason, detail: error.to_string() }
            }
        }
    }

    /// A push (POST). Returns when it is durable.
    ///
    /// # Errors
    /// `store_unavailable`: WeChat must be told, so that it pushes again.
    pub async fn take_callback(&self, app: &App, query: &Query, body: &[u8]) -> Result<Answer, Problem> {
        let opened = match wechat::callback::open(&app.keys, query, body) {
            Ok(opened) => opened,
            Err(error) => return Ok(refused(app, &error)),
        };
        if opened.stronger_than_configured {
            tracing::warn!(app = app.app_id, received = %opened.received_mode, "callbacks come in a stronger mode than configured");
        }
        let push = event::parse(&opened.plaintext);
        let now = self.now();
        let row = self.inbox_row(app, &opened, push.as_ref().ok(), now);
        if let Err(error) = &push {
            tracing::warn!(app = app.app_id, id = %row.id, %error, "a verified push cannot be read: quarantined");
        } else if row.verdict == Some(Verdict::Quarantined) {
            tracing::warn!(app = app.app_id, id = %row.id, reason = row.reason, "a push was quarantined");
        }
        let (id, waits) = (row.id, row.verdict.is_none());
        let appended = self.store.append(vec![row]).await?;
        let new = appended == [Appended::New];
        tracing::debug!(app = app.app_id, new, "callback kept");
        let Ok(push) = push else { return Ok(success()) };
        if app.original_id.is_none() && push.to_user.starts_with("gh_") {
            self.store.learn_original_id(app.number, push.to_user.clone()).await?;
            self.apps.reload().await?;
        }
        let answer = self.answer(app, query, &opened, &push, now);
        if new && waits {
            self.fresh.hand_over(FreshPush { id, app: app.number, received_at: now, push });
        }
        Ok(answer)
    }

    fn inbox_row(&self, app: &App, opened: &Opened, push: Option<&Push>, now: Millis) -> NewInboxRow {
        // The app belongs to it: what one app's token signs must not pass for another app's event.
        let identity =
            Sha256::new().chain_update(&app.app_id).chain_update([0]).chain_update(&opened.plaintext);
        let digest: [u8; 32] = identity.finalize().into();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        let kind = push.map_or(InboxKind::Unreadable, kind);
        let openid = push.map(|push| push.from_user.clone()).unwrap_or_default();
        let event_at = push.map_or(0, |push| push.create_time.saturating_mul(SECOND));
        let age = opened.timestamp.map_or(i64::MAX, |sent| now / SECOND - sent);
        let stale = age.abs() > app.settings.callback_tolerance;
        let waits = matches!(kind, InboxKind::Popup | InboxKind::Change | InboxKind::Sent);
        let (verdict, reason) = match kind {
            InboxKind::Unreadable => (Some(Verdict::Quarantined), Some("unreadable")),
            _ if stale => (Some(Verdict::Quarantined), Some("stale_timestamp")),
            _ if waits && now - event_at > IDENTITY_LIFE => (Some(Verdict::Quarantined), Some("stale_event")),
            _ if waits => (None, None),
            _ => (Some(Verdict::Ignored), None),
        };
        let lane = self.store.lanes().of_openid(&openid);
        let body = match kind {
            // What a user writes to customer service is none of our business.
            InboxKind::Chat => String::new(),
            _ => String::from_utf8_lossy(&opened.plaintext).into_owned(),
        };
        NewInboxRow {
            id: InboxId::new(now, lane, &*self.entropy),
            app: app.number,
            event_at,
            digest: short,
            received_at: now,
            kind,
            openid,
            body,
            verdict,
            reason: reason.map(str::to_owned),
        }
    }

    fn answer(&self, app: &App, query: &Query, opened: &Opened, push: &Push, now: Millis) -> Answer {
        if push.kind != PushKind::CustomerService || app.settings.customer_service == CustomerService::Silent
        {
            return success();
        }
        let parties =
            Parties { user: &push.from_user, mini_program: &push.to_user, create_time: now / SECOND };
        let timestamp = now / SECOND;
        let keys = app.keys.get(opened.key_index);
        let encryption = keys.filter(|_| opened.received_mode == Mode::Safe).map(|keys| Encryption {
            keys,
            random: random_bytes(&*self.entropy),
            timestamp,
            nonce: query.nonce.as_deref().unwrap_or_default(),
        });
        match reply::transfer_customer_service(app.format, &parties, encryption.as_ref()) {
            Ok(body) => Answer::Reply { body, content_type: app.format.content_type() },
            Err(error) => {
                tracing::error!(app = app.app_id, %error, "a chat could not be handed on");
                success()
            }
        }
    }
}

fn success() -> Answer {
    Answer::Text(reply::SUCCESS.to_owned())
}

fn kind(push: &Push) -> InboxKind {
    match push.kind {
        PushKind::Popup(_) => InboxKind::Popup,
        PushKind::Change(_) => InboxKind::Change,
        PushKind::Sent(_) => InboxKind::Sent,
        PushKind::CustomerService => InboxKind::Chat,
        PushKind::OtherEvent(_) | PushKind::Unknown => InboxKind::Event,
    }
}

fn refused(app: &App, error: &OpenError) -> Answer {
    let reason = match error {
        OpenError::Missing(_) => "missing_parameter",
        OpenError::BadSignature => "bad_signature",
        OpenError::WrongAppId => "wrong_app_id",
        OpenError::WeakerMode => "weaker_mode",
        _ => "malformed",
    };
    tracing::warn!(app = app.app_id, reason, %error, "a callback was refused");
    Answer::Refused { status: error.http_status(), reason, detail: error.to_string() }
}

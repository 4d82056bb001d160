//! What WeChat pushes: verified, decrypted, kept, answered. Called by the API's callback endpoint.
//!
//! `success` is given only for what is durable (I1); nothing has an effect that was not verified (I3).

use domain::clock::{DAY, SECOND};
use domain::entropy::random_bytes;
use domain::{InboxId, Millis};
use sha2::{Digest, Sha256};
use store::hot::append::{Appended, InboxKind, NewInboxRow, Verdict};
use store::relay::{NewRelay, Pushed};
use wechat::callback::event::{self, Kind as PushKind, Push};
use wechat::callback::reply::{self, Encryption, Parties};
use wechat::callback::{Keys, Mode, OpenError, Opened, Query, VerifyError};

use crate::arrivals::Arrival;
use crate::fresh::{Fresh, Said};
use crate::problem::Problem;
use crate::settings::CustomerService;
use crate::{App, Service, erasure};

/// How long the identity of an event is kept (I2); what is older could count twice.
const IDENTITY_LIFE: Millis = 7 * DAY;

/// How a callback is answered.
#[derive(Debug)]
pub enum Answer {
    /// 200 with this text.
    Text(String),
    /// 200 with this body.
    Reply {
        /// The body.
        body: Vec<u8>,
        /// Its media type.
        content_type: Option<String>,
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

/// A push as it came over HTTP.
#[derive(Debug, Clone, Copy)]
pub struct Received<'r> {
    /// The parameters of the query.
    pub query: &'r Query,
    /// The query string itself.
    pub query_string: &'r str,
    /// The header `Content-Type`.
    pub content_type: Option<&'r str>,
    /// The body.
    pub body: &'r [u8],
}

/// A Token as WeChat's console takes it.
pub(crate) fn token_fits(token: &str) -> bool {
    (3..=32).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Service {
    /// The verification (GET): the bare `echostr`.
    pub fn verify_callback(&self, app: &App, query: &Query) -> Answer {
        use secrecy::ExposeSecret;
        let keys = app.keys_at(self.now());
        let tokens: Vec<&str> = keys.iter().map(|keys| keys.token.expose_secret()).collect();
        let arrival = |refused| Arrival {
            at: self.now(),
            verification: true,
            refused,
            skew_seconds: None,
            stronger_mode: false,
        };
        match wechat::callback::verify_url(&tokens, query) {
            Ok(echostr) => {
                self.arrivals.note(app.number, arrival(None));
                Answer::Text(echostr.to_owned())
            }
            Err(error) => {
                let reason = match error {
                    VerifyError::Missing(_) => "missing_parameter",
                    VerifyError::BadSignature => "bad_signature",
                };
                self.arrivals.note(app.number, arrival(Some(reason)));
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
    pub async fn take_callback(&self, app: &App, received: &Received<'_>) -> Result<Answer, Problem> {
        let now = self.now();
        let keys = app.keys_at(now);
        let opened = match wechat::callback::open(keys, received.query, received.body) {
            Ok(opened) => opened,
            Err(error) => {
                let answer = refused(app, &error);
                if let Answer::Refused { reason, .. } = &answer {
                    let refused = Some(*reason);
                    self.arrivals.note(
                        app.number,
                        Arrival {
                            at: now,
                            verification: false,
                            refused,
                            skew_seconds: None,
                            stronger_mode: false,
                        },
                    );
                }
                return Ok(answer);
            }
        };
        self.arrivals.note(
            app.number,
            Arrival {
                at: now,
                verification: false,
                refused: None,
                skew_seconds: opened.timestamp.map(|sent| now / SECOND - sent),
                stronger_mode: opened.stronger_than_configured,
            },
        );
        if opened.stronger_than_configured {
            tracing::warn!(app = app.app_id, received = %opened.received_mode, "callbacks come in a stronger mode than configured");
        }
        if opened.key_index > 0 {
            metrics::counter!("hongyan_callbacks_previous_keys_total").increment(1);
            tracing::debug!(app = app.app_id, "a callback came with the keys of before");
        }
        let push = event::parse(&opened.plaintext);
        let mut row = self.inbox_row(app, &opened, push.as_ref().ok(), now);
        let pushed = app.settings.relay_url.is_some().then(|| Pushed {
            query: received.query_string.to_owned(),
            content_type: received.content_type.map(str::to_owned),
            body: received.body.to_vec(),
        });
        let at_once = row.kind == InboxKind::Chat && app.settings.customer_service == CustomerService::Relay;
        row.relay = pushed.as_ref().map(|pushed| match at_once {
            true => NewRelay::AtOnce,
            false => self.store.seal_relay(row.id, pushed),
        });
        self.alarm(app, &row, push.as_ref().err());
        let (id, digest, waits) = (row.id, row.digest, row.verdict.is_none());
        let appended = self.store.append(vec![row]).await?;
        let new = appended == [Appended::New];
        tracing::debug!(app = app.app_id, new, "callback kept");
        let Ok(push) = push else { return Ok(success()) };
        if app.original_id.is_none() && push.to_user.starts_with("gh_") {
            self.store.learn_original_id(app.number, push.to_user.clone()).await?;
            self.apps.reload().await?;
        }
        if at_once && let Some(pushed) = &pushed {
            let answer = self.chat_answer(app, (id, digest), pushed, new).await;
            return Ok(match answer {
                Some(answer) => answer,
                None => self.transfer(app, (keys, received.query), &opened, &push, now),
            });
        }
        let answer = match (&push.kind, app.settings.customer_service) {
            (PushKind::CustomerService, CustomerService::Transfer | CustomerService::Relay) => {
                self.transfer(app, (keys, received.query), &opened, &push, now)
            }
            _ => success(),
        };
        if new && waits {
            self.fresh.hand_over(Fresh { id, app: app.number, received_at: now, said: Said::Pushed(push) });
        }
        Ok(answer)
    }

    /// What is set aside is said aloud.
    fn alarm(&self, app: &App, row: &NewInboxRow, unreadable: Option<&event::ParseError>) {
        if row.verdict != Some(Verdict::Quarantined) {
            return;
        }
        let reason = row.reason.clone().unwrap_or_default();
        metrics::counter!("hongyan_callbacks_quarantined_total", "reason" => reason.clone()).increment(1);
        match unreadable {
            Some(error) => {
                tracing::warn!(app = app.app_id, id = %row.id, %error, "a verified push cannot be read: quarantined");
            }
            None => tracing::warn!(app = app.app_id, id = %row.id, reason, "a push was quarantined"),
        }
    }

    fn inbox_row(&self, app: &App, opened: &Opened, push: Option<&Push>, now: Millis) -> NewInboxRow {
        let age = opened.timestamp.map_or(i64::MAX, |sent| now / SECOND - sent);
        let stale = age.abs() > app.settings.callback_tolerance;
        let row = self.row(app, &opened.plaintext, push, now);
        let old = row.verdict.is_none() && now - row.event_at > IDENTITY_LIFE;
        let aside = match (row.kind, stale, old) {
            (InboxKind::Unreadable, _, _) => "unreadable",
            (_, true, _) => "stale_timestamp",
            (_, _, true) => "stale_event",
            _ => return row,
        };
        NewInboxRow { verdict: Some(Verdict::Quarantined), reason: Some(aside.to_owned()), ..row }
    }

    /// The row of a quarantined text that can be read after all, and waits to be applied.
    pub(crate) fn readable_row(&self, app: &App, plaintext: &[u8]) -> Option<NewInboxRow> {
        let push = event::parse(plaintext).ok()?;
        Some(self.row(app, plaintext, Some(&push), self.now()))
    }

    fn row(&self, app: &App, plaintext: &[u8], push: Option<&Push>, now: Millis) -> NewInboxRow {
        // The app belongs to it: what one app's token signs must not pass for another app's event.
        let identity = Sha256::new().chain_update(&app.app_id).chain_update([0]).chain_update(plaintext);
        let digest: [u8; 32] = identity.finalize().into();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        let kind = push.map_or(InboxKind::Unreadable, kind);
        let openid = push.map(|push| about(push).to_owned()).unwrap_or_default();
        let waits =
            matches!(kind, InboxKind::Popup | InboxKind::Change | InboxKind::Sent | InboxKind::Erasure);
        let lane = self.store.lanes().of_openid(&openid);
        let body = match kind {
            // What a user writes to customer service is none of our business.
            InboxKind::Chat => String::new(),
            _ => String::from_utf8_lossy(plaintext).into_owned(),
        };
        NewInboxRow {
            id: InboxId::new(now, lane, &*self.entropy),
            app: app.number,
            event_at: push.map_or(0, |push| push.create_time.saturating_mul(SECOND)),
            digest: short,
            received_at: now,
            kind,
            openid,
            body,
            verdict: (!waits).then_some(Verdict::Ignored),
            reason: None,
            relay: None,
        }
    }

    /// Hands a chat to WeChat's own customer-service tool, in the app's format, encrypted with the keys that it came with.
    fn transfer(
        &self,
        app: &App,
        (keys, query): (&[Keys], &Query),
        opened: &Opened,
        push: &Push,
        now: Millis,
    ) -> Answer {
        let parties =
            Parties { user: &push.from_user, mini_program: &push.to_user, create_time: now / SECOND };
        let keys = keys.get(opened.key_index);
        let encryption = keys.filter(|_| opened.received_mode == Mode::Safe).map(|keys| Encryption {
            keys,
            random: random_bytes(&*self.entropy),
            timestamp: now / SECOND,
            nonce: query.nonce.as_deref().unwrap_or_default(),
        });
        match reply::transfer_customer_service(app.format, &parties, encryption.as_ref()) {
            Ok(body) => Answer::Reply {
                body: body.into_bytes(),
                content_type: Some(app.format.content_type().to_owned()),
            },
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

/// Whose lane a push belongs to.
fn about(push: &Push) -> &str {
    match push.open_id.as_deref() {
        Some(open_id) if erasure::demand(push).is_some() => open_id,
        _ => &push.from_user,
    }
}

fn kind(push: &Push) -> InboxKind {
    match push.kind {
        PushKind::Popup(_) => InboxKind::Popup,
        PushKind::Change(_) => InboxKind::Change,
        PushKind::Sent(_) => InboxKind::Sent,
        PushKind::CustomerService => InboxKind::Chat,
        PushKind::OtherEvent(_) if erasure::demand(push).is_some() => InboxKind::Erasure,
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

//! The send call's checks, in WeChat's order, and what a good one does. The hot path: one shard lock, two
//! allocations for the record, nothing logged.

use std::sync::Arc;

use serde_json::json;

use super::{App, Settings, Simulator, Template, lock, records::GrantEntry, users::Receipt};
use crate::{
    api::{Decision, FaultKind, FaultOn, GrantCause, TemplateKind},
    faults::Whom,
};

mod body;
mod page;

use body::SendBody;

/// One send call as it is kept: the body as it came, read again only when somebody looks.
pub(crate) struct SendRecord {
    pub(crate) at: i64,
    /// None where the call did not get as far as a known user.
    pub(crate) openid: Option<Arc<str>>,
    pub(crate) template: Option<Arc<Template>>,
    pub(crate) errcode: i32,
    /// Empty where nothing was wrong.
    pub(crate) errmsg: Box<str>,
    pub(crate) msgid: u64,
    pub(crate) body: Box<[u8]>,
    pub(crate) fault: Option<FaultKind>,
}

/// What the call answers, before the rid.
pub(crate) struct Sent {
    pub(crate) errcode: i32,
    pub(crate) errmsg: String,
    pub(crate) msgid: u64,
    /// Held until the answer is out; only taken where answers are slow.
    pub(crate) busy: Option<Busy>,
    /// To be pushed before the answer.
    pub(crate) overtaking: Option<Receipt>,
}

/// Marks a person as being sent to; freed when dropped, also when the caller hangs up.
pub(crate) struct Busy {
    app: Arc<App>,
    openid: Arc<str>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(user) = lock(self.app.users.shard(&self.openid)).get_mut(&self.openid) {
            user.busy = false;
        }
    }
}

/// Bodies that are kept are cut here.
const KEEP_BODY: usize = 4096;

struct Fault(i32, String);

impl Fault {
    fn new(errcode: i32, errmsg: &str) -> Self {
        Self(errcode, errmsg.to_owned())
    }
}

impl Simulator {
    /// A send call whose token belongs to `app`; `fault` is what befalls its answer.
    pub(crate) fn send(
        &self,
        app: &Arc<App>,
        settings: &Settings,
        raw: &[u8],
        now: i64,
        fault: Option<FaultKind>,
    ) -> Sent {
        let mut record = SendRecord {
            at: now,
            openid: None,
            template: None,
            errcode: 0,
            errmsg: Box::default(),
            msgid: 0,
            body: Box::default(),
            fault,
        };
        let outcome = if app.quota.spend(now, settings.spec.daily_quota) {
            self.judge(app, settings, raw, &mut record)
        } else {
            Err(Fault::new(45009, "reach max api daily quota limit"))
        };
        match outcome {
            Ok(sent) => sent,
            Err(Fault(errcode, errmsg)) => {
                record.errcode = errcode;
                record.errmsg = errmsg.as_str().into();
                record.body = keep(raw);
                self.note(app, Arc::new(record));
                Sent { errcode, errmsg, msgid: 0, busy: None, overtaking: None }
            }
        }
    }

    fn judge(
        &self,
        app: &Arc<App>,
        settings: &Settings,
        raw: &[u8],
        record: &mut SendRecord,
    ) -> Result<Sent, Fault> {
        let now = record.at;
        if raw.iter().all(u8::is_ascii_whitespace) {
            return Err(Fault::new(44002, "empty post data"));
        }
        let body: SendBody<'_> =
            serde_json::from_slice(raw).map_err(|_| Fault::new(47001, "data format error"))?;
        let mut shard = lock(app.users.shard(&body.touser));
        let Some((openid, _)) = shard.get_key_value(&*body.touser) else {
            return Err(Fault::new(40003, "invalid openid"));
        };
        let openid = openid.clone();
        record.openid = Some(openid.clone());
        let Some(template) = settings.template(&body.template_id) else {
            return Err(Fault::new(40037, "invalid template_id"));
        };
        record.template = Some(template.clone());
        if let Some(errmsg) = template.fault(|key| body.data.get(key).unwrap_or_default()) {
            return Err(Fault(47003, errmsg));
        }
        if !page::is_well_formed(&body.page) {
            return Err(Fault::new(41030, "invalid page"));
        }
        let Some(user) = shard.get_mut(&openid) else {
            return Err(Fault::new(40003, "invalid openid"));
        };
        if user.busy {
            let errmsg = "Cannot make concurrent calls to the same OpenID, please try again";
            return Err(Fault::new(43108, errmsg));
        }
        let refuse = || Fault::new(43101, "user refuse to accept the msg");
        if !user.main_switch || user.subscription(template.number).is_none_or(|s| s.refused) {
            return Err(refuse());
        }
        let subscription = user.subscription_mut(template.number);
        let spent = match template.kind {
            TemplateKind::LongTerm if subscription.status != Some(Decision::Accept) => return Err(refuse()),
            TemplateKind::LongTerm => None,
            TemplateKind::OneTime => {
                subscription.left = subscription.left.checked_sub(1).ok_or_else(refuse)?;
                Some(subscription.left)
            }
        };
        let msgid = self.0.chance.msgid();
        let record = Arc::new(SendRecord {
            at: now,
            openid: Some(openid.clone()),
            template: Some(template.clone()),
            errcode: 0,
            errmsg: Box::default(),
            msgid,
            body: if settings.spec.keep_accepted { raw.into() } else { keep(raw) },
            fault: record.fault,
        });
        if settings.spec.keep_accepted {
            lock(&app.accepted).push(record.clone());
        }
        let keep_cards = self.0.config.keep_cards;
        if keep_cards > 0 {
            if user.cards.len() >= keep_cards {
                user.cards.pop_front();
            }
            user.cards.push_back(record.clone());
        }
        // A fault may take its time as well.
        let slow = settings.spec.latency_ms > 0 || record.fault.is_some();
        user.busy = slow;
        drop(shard);

        if let Some(left) = spent {
            self.note_grant(app, &openid, template, -1, left, GrantCause::Sent);
        }
        self.note(app, record);
        let mut overtaking = None;
        if settings.spec.receipts && settings.envelope.is_some() {
            let wait = settings.spec.latency_ms.saturating_add(settings.spec.receipt_delay_ms);
            let due = now.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
            let whom = Whom {
                openid: Some(&openid),
                templates: &[&template.id],
                event: Some("subscribe_msg_sent_event"),
            };
            let fault = app.faults.strike(FaultOn::Receipt, whom);
            let receipt = Receipt { due, openid: openid.clone(), template: template.clone(), msgid, fault };
            if receipt.fault.as_ref().is_some_and(|fault| fault.kind() == FaultKind::Overtake) {
                overtaking = Some(receipt);
            } else {
                self.queue_receipt(app, receipt);
            }
        }
        let busy = slow.then(|| Busy { app: app.clone(), openid });
        Ok(Sent { errcode: 0, errmsg: "ok".to_owned(), msgid, busy, overtaking })
    }

    /// A send call that a fault refuses before anything is looked at.
    pub(crate) fn refuse(&self, app: &App, raw: &[u8], errcode: i32, errmsg: &str, fault: FaultKind) {
        let body = serde_json::from_slice::<SendBody<'_>>(raw).ok();
        let openid = body.and_then(|body| {
            let shard = lock(app.users.shard(&body.touser));
            Some(shard.get_key_value(&*body.touser)?.0.clone())
        });
        let record = SendRecord {
            at: self.now(),
            openid,
            template: None,
            errcode,
            errmsg: errmsg.into(),
            msgid: 0,
            body: keep(raw),
            fault: Some(fault),
        };
        self.note(app, Arc::new(record));
    }

    fn note(&self, app: &App, record: Arc<SendRecord>) {
        app.counters.send(record.errcode);
        self.0.live.tell("send", &app.appid, record.openid.as_deref(), || json!(record.view()));
        if let Some(card) = record.card() {
            self.0.live.tell("card", &app.appid, record.openid.as_deref(), || json!(card()));
        }
        app.sends.push(record);
    }

    pub(crate) fn note_grant(
        &self,
        app: &App,
        openid: &Arc<str>,
        template: &Template,
        delta: i64,
        left: u32,
        cause: GrantCause,
    ) {
        app.counters.grant(delta, cause);
        let entry = GrantEntry {
            at: self.now(),
            openid: openid.clone(),
            template: template.number,
            delta,
            left,
            cause,
        };
        self.0.live.tell(
            "grant",
            &app.appid,
            Some(openid),
            || json!({"template_id": template.id, "delta": delta, "left": left, "cause": cause}),
        );
        app.grants.push(entry);
    }
}

fn keep(raw: &[u8]) -> Box<[u8]> {
    raw[..raw.len().min(KEEP_BODY)].into()
}

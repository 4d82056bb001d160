//! From memory to the control API's answers.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use serde_json::Value;

use super::{App, CallbackEntry, Settings, records::GrantEntry, sending::SendRecord, users::User};
use crate::api::{
    AppView, CallbackAttempt, CallbackView, CardField, CardView, GrantChange, SendView, SubscriptionView,
    TemplateKind, UserView,
};

impl App {
    pub(crate) fn view(&self) -> AppView {
        let settings = self.settings();
        AppView {
            appid: self.appid.to_string(),
            name: settings.spec.name.clone(),
            original_id: settings.spec.original_id.clone(),
            callback: settings.spec.callback.as_ref().map(|callback| CallbackView {
                url: callback.url.clone(),
                mode: callback.mode,
                format: callback.format,
            }),
            templates: settings.templates.iter().map(|template| template.view()).collect(),
            mini_program: settings.spec.mini_program.clone(),
            users: self.users.count.load(Relaxed),
        }
    }
}

impl SendRecord {
    fn parsed(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned()))
    }

    pub(crate) fn view(&self) -> SendView {
        let mut body = self.parsed();
        let text = |body: &Value, key: &str| body.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        SendView {
            at: self.at,
            openid: text(&body, "touser"),
            template_id: text(&body, "template_id"),
            page: text(&body, "page"),
            data: match body.get_mut("data") {
                Some(data) => data.take(),
                None => body,
            },
            errcode: self.errcode,
            errmsg: if self.errmsg.is_empty() { "ok".to_owned() } else { self.errmsg.to_string() },
            msgid: (self.msgid != 0).then(|| self.msgid.to_string()),
            fault: self.fault,
        }
    }

    /// None where no card came of it; a function, so that it is only built for those who look.
    pub(crate) fn card(&self) -> Option<impl Fn() -> CardView> {
        let template = self.template.as_ref().filter(|_| self.errcode == 0)?;
        Some(move || {
            let body = self.parsed();
            let fields = template
                .fields
                .iter()
                .map(|field| CardField {
                    key: field.key.clone(),
                    label: field.label.clone(),
                    value: body["data"][&field.key]["value"].as_str().unwrap_or("").to_owned(),
                })
                .collect();
            CardView {
                template_id: template.id.clone(),
                title: template.title.clone(),
                fields,
                page: body["page"].as_str().unwrap_or("").to_owned(),
                at: self.at,
                msgid: self.msgid.to_string(),
            }
        })
    }
}

impl User {
    pub(crate) fn view(&self, openid: &str, settings: &Settings) -> UserView {
        let subscriptions = settings.templates.iter().map(|template| {
            let state = self.subscription(template.number);
            SubscriptionView {
                template_id: template.id.clone(),
                title: template.title.clone(),
                kind: template.kind,
                grants: state.map_or(0, |state| state.left),
                status: state.and_then(|state| state.status),
                refused: state.is_some_and(|state| state.refused),
                always_keep: state.and_then(|state| state.always_keep),
            }
        });
        UserView {
            openid: openid.to_owned(),
            nickname: self.nickname.to_string(),
            main_switch: self.main_switch,
            subscriptions: subscriptions.collect(),
            cards: self.cards.iter().rev().filter_map(|record| record.card().map(|card| card())).collect(),
        }
    }
}

impl CallbackEntry {
    pub(crate) fn view(&self) -> CallbackAttempt {
        CallbackAttempt {
            at: self.at,
            openid: self.openid.to_string(),
            event: self.event.clone().into_owned(),
            attempt: self.attempt,
            status: self.status,
            body: self.body.to_string(),
            latency_ms: self.latency_ms,
            error: self.error.as_deref().map(str::to_owned),
            plaintext: self.plaintext.to_string(),
        }
    }
}

impl GrantEntry {
    pub(crate) fn view(&self, settings: &Arc<Settings>) -> GrantChange {
        let template_id = settings.numbered(self.template).map(|t| t.id.clone()).unwrap_or_default();
        GrantChange {
            at: self.at,
            openid: self.openid.to_string(),
            template_id,
            delta: self.delta,
            left: self.left,
            cause: self.cause,
        }
    }
}

/// A long-term template has no count.
pub(crate) fn counts(kind: TemplateKind) -> bool {
    kind == TemplateKind::OneTime
}

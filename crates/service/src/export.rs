//! Everything kept of one person, for the person (the privacy law's right to a copy). Used by the API and the command line; each
//! export is noted in the operation log.

use domain::MessageId;
use serde_json::{Map, Value, json};
use store::messages::MessageFilter;
use wechat::Lang;

use crate::problem::Problem;
use crate::view::time;
use crate::{App, Service, checks, people};

const PAGE: i64 = 500;

impl Service {
    /// What is kept of a person, as one JSON object; sensitive attributes in plain, for they are the person's.
    ///
    /// # Errors
    /// `invalid_openid`.
    pub async fn export_person(
        &self,
        app: &App,
        openid: &str,
        by: &str,
        lang: Lang,
    ) -> Result<Value, Problem> {
        if !checks::openid(openid) {
            return Err(people::not_an_openid("/openid").into());
        }
        let store = self.store();
        let subscriber = store.person(app.number, openid).await?.map(|person| {
            let attributes: Map<String, Value> = people::values(&person)
                .into_iter()
                .filter(|(name, _)| name != store::people::EXTERNAL_ID)
                .collect();
            json!({ "external_id": person.external_id, "unionid": person.unionid, "tags": person.tags,
                "attributes": attributes, "created_at": time(person.created_at), "updated_at": time(person.updated_at) })
        });
        let (subscriptions, _) = self.subscriptions(app, Some(openid), None, None, PAGE).await?;
        let mut ledger = Vec::new();
        for subscription in &subscriptions {
            ledger.extend(self.ledger_of(app, openid, &subscription.template_id, lang).await?);
        }
        let reported: Vec<Value> = store
            .reported_of(app.number, openid)
            .await?
            .into_iter()
            .map(|(template_id, accepted, at)| {
                json!({ "template_id": template_id, "accepted": accepted, "at": time(at) })
            })
            .collect();
        let callbacks: Vec<Value> = store
            .callbacks_of(app.number, openid)
            .await?
            .into_iter()
            .map(|row| {
                json!({ "received_at": time(row.received_at), "kind": row.kind.as_str(), "body": row.body,
                    "effects": row.effects.and_then(|effects| serde_json::from_str::<Value>(&effects).ok()) })
            })
            .collect();
        let lists: Vec<Value> = store
            .lines_of(app.number, openid)
            .await?
            .into_iter()
            .map(|(campaign, row, vars)| {
                json!({ "campaign": campaign, "row": row, "columns": serde_json::from_str::<Value>(&vars).ok() })
            })
            .collect();
        let log: Vec<Value> = store
            .deeds_about(app.number, openid)
            .await?
            .into_iter()
            .map(|(at, by, act)| json!({ "at": time(at), "by": by, "act": act }))
            .collect();
        let guest = store
            .guest_of(app.number, openid)
            .await?
            .map(|(note, since)| json!({ "note": note, "since": time(since) }));
        let exported = json!({
            "app_id": app.app_id,
            "openid": openid,
            "exported_at": time(self.now()),
            "subscriber": subscriber,
            "guest": guest,
            "subscriptions": subscriptions,
            "ledger": ledger,
            "reported": reported,
            "messages": self.messages_to(app, openid, lang).await?,
            "callbacks": callbacks,
            "lists": lists,
            "operation_log": log,
        });
        self.note(by, Some(app), "GET subscribers/export", Some(openid)).await;
        Ok(exported)
    }

    async fn messages_to(&self, app: &App, openid: &str, lang: Lang) -> Result<Vec<Value>, Problem> {
        let filter = MessageFilter { openid: Some(openid.to_owned()), ..MessageFilter::default() };
        let (mut all, mut before) = (Vec::new(), None::<MessageId>);
        loop {
            let (some, next) = self.messages(app, filter.clone(), None, before, PAGE, lang).await?;
            for message in some {
                all.push(serde_json::to_value(message).map_err(|_| store::StoreError::Corrupt("message"))?);
            }
            before = next;
            if before.is_none() {
                return Ok(all);
            }
        }
    }
}

//! A person writes to customer service, and sees whether it got there.

use std::sync::Arc;

use serde_json::json;

use super::{App, Refusal, Simulator};
use crate::{
    api::{Chat, ChatOutcome, ChatView},
    push::{Content, Delivery, judge},
};

impl Simulator {
    /// Writes; what comes of it is told later, in the records and to those who watch.
    pub fn chat(&self, appid: &str, openid: &str, chat: &Chat) -> Result<(), Refusal> {
        drop(self.write(appid, openid, chat)?);
        Ok(())
    }

    /// Writes, and waits for what comes of it: as long as all tries take.
    pub async fn chat_outcome(&self, appid: &str, openid: &str, chat: &Chat) -> Result<ChatView, Refusal> {
        let ended = self.write(appid, openid, chat)?.await;
        ended.map_err(|error| Refusal::Invalid(format!("the push broke off: {error}")))
    }

    /// Newest first.
    pub fn chats(&self, appid: &str, openid: Option<&str>, limit: usize) -> Result<Vec<ChatView>, Refusal> {
        let app = self.app(appid)?;
        Ok(app.chats.newest(limit, |chat| openid.is_none_or(|openid| chat.openid == openid)))
    }

    fn write(
        &self,
        appid: &str,
        openid: &str,
        chat: &Chat,
    ) -> Result<tokio::task::JoinHandle<ChatView>, Refusal> {
        let app = self.app(appid)?;
        let openid = self.known_user(&app, openid)?;
        let (at, msgid, text) = (self.now(), self.0.chance.msgid(), chat.text.clone());
        let pushed = self.push(&app, openid.clone(), Content::Text { text: text.clone(), msgid });
        let sim = self.clone();
        // A task of its own: it goes on when whoever asked goes away.
        Ok(tokio::spawn(async move {
            let mut view = ChatView {
                at,
                openid: openid.to_string(),
                text,
                outcome: ChatOutcome::Direct,
                reason: None,
                detail: None,
                attempts: 0,
            };
            if let Some(pushed) = pushed {
                let delivery = pushed.await.unwrap_or_else(|_| Delivery::none());
                settle(&app, &openid, &mut view, delivery);
            }
            sim.0.live.tell("chat", &app.appid, Some(&openid), || json!(view));
            app.chats.push(view.clone());
            view
        }))
    }
}

fn settle(app: &App, openid: &Arc<str>, view: &mut ChatView, delivery: Delivery) {
    let settings = app.settings();
    view.attempts = delivery.attempts;
    let Some(envelope) = &settings.envelope else { return };
    match judge(envelope, &settings.spec.original_id, openid, delivery.answer) {
        Ok(outcome) => view.outcome = outcome,
        Err((reason, detail)) => {
            view.outcome = ChatOutcome::Failed;
            view.reason = Some(reason);
            view.detail = detail;
        }
    }
}

//! Passing pushes on to a team's other server, byte for byte. WeChat has one push URL per mini program, and it is ours now.
//! The queue is the engine's to empty; chats with `customer_service = relay` are passed on at once, here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::clock::SECOND;
use domain::{InboxId, Millis};
use store::relay::{Pushed, RelayState, RelayTried};
use wechat::callback::MAX_BODY_BYTES;
use wechat::client::{NoOutsideAnswer, OutsideAnswer, OutsideCall};

use crate::callback::Answer;
use crate::{App, Service};

/// WeChat waits five seconds for the answer to a chat.
const CHAT_TIME: Duration = Duration::from_secs(3);
/// How long an answer is remembered for a chat that WeChat pushes again, and how many are.
const REMEMBERED: Millis = 60 * SECOND;
const MOST: usize = 1_024;

/// What the other server answered to the last chats: a chat that is pushed again is not passed on again.
#[derive(Debug, Default)]
pub(crate) struct ChatAnswers(Mutex<HashMap<Chat, (Millis, OutsideAnswer)>>);

/// Which chat: the app, and the digest of its text.
type Chat = (i64, [u8; 16]);

impl ChatAnswers {
    fn get(&self, chat: Chat, now: Millis) -> Option<OutsideAnswer> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(&chat).filter(|(until, _)| *until > now).map(|(_, answer)| answer.clone())
    }

    fn keep(&self, chat: Chat, answer: OutsideAnswer, now: Millis) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST {
            answers.retain(|_, (until, _)| *until > now);
        }
        if answers.len() < MOST {
            answers.insert(chat, (now + REMEMBERED, answer));
        }
    }
}

impl Service {
    /// Passes a push on: the body, its media type and its query string as WeChat sent them.
    ///
    /// # Errors
    /// Where the other server gave no answer.
    pub async fn pass_on(
        &self,
        url: &str,
        pushed: &Pushed,
        time: Duration,
    ) -> Result<OutsideAnswer, NoOutsideAnswer> {
        let call = OutsideCall {
            post: Some((pushed.body.clone().into(), pushed.content_type.as_deref())),
            url,
            query: Some(&pushed.query),
            headers: &[],
            time,
            limit: MAX_BODY_BYTES,
        };
        self.client.outside(&call).await
    }

    /// The other server's answer to a chat, or `None` where it has none: then the chat is handed to WeChat's own tool.
    /// `first` is false where the chat was passed on before.
    pub(crate) async fn chat_answer(
        &self,
        app: &App,
        (id, digest): (InboxId, [u8; 16]),
        pushed: &Pushed,
        first: bool,
    ) -> Option<Answer> {
        let chat = (app.number, digest);
        if !first {
            return self.chat_answers.get(chat, self.now()).map(reply);
        }
        let url = app.settings.relay_url.as_deref()?;
        let answered = self.pass_on(url, pushed, CHAT_TIME).await;
        let at = self.now();
        let (status, error) = match &answered {
            Ok(answer) => (Some(answer.status), None),
            Err(why) => (None, Some(why.to_string())),
        };
        let state = if status == Some(200) { RelayState::Delivered } else { RelayState::GivenUp };
        let outcome = if state == RelayState::Delivered { "chat_answered" } else { "chat_failed" };
        metrics::counter!("hongyan_relay_total", "outcome" => outcome).increment(1);
        if state == RelayState::GivenUp {
            tracing::warn!(app = app.app_id, %id, status, error, "relay_url did not answer a chat: it is handed to WeChat's customer service");
        }
        let tried = RelayTried { id, at, status, error, state, due_at: at };
        if let Err(error) = self.store.relay_tried(&[tried]).await {
            tracing::warn!(app = app.app_id, %id, %error, "what came of a chat could not be kept");
        }
        let answer = answered.ok().filter(|answer| answer.status == 200)?;
        self.chat_answers.keep(chat, answer.clone(), at);
        Some(reply(answer))
    }
}

fn reply(answer: OutsideAnswer) -> Answer {
    Answer::Reply { body: answer.body.to_vec(), content_type: answer.content_type }
}

//! Pushes that have just become durable, on their way to whoever applies them: read already, they need not be read
//! again from the database. Only a saving: what does not fit here, or is lost with the process, waits in the inbox.

use std::sync::{Mutex, PoisonError};

use domain::{InboxId, Millis};
use tokio::sync::Notify;
use wechat::callback::event::Push;

use crate::mini_program::Reported;

/// Pushes held at most; beyond, the applier reads the inbox.
const MOST: usize = 65_536;

/// Something that waits to be applied.
#[derive(Debug)]
pub struct Fresh {
    /// Its row.
    pub id: InboxId,
    /// The app.
    pub app: i64,
    /// When it came.
    pub received_at: Millis,
    /// What it says.
    pub said: Said,
}

/// Who said what.
#[derive(Debug)]
pub enum Said {
    /// WeChat pushed it.
    Pushed(Push),
    /// A mini program reported it of its user.
    Reported {
        /// Who.
        openid: String,
        /// What.
        reported: Reported,
    },
}

/// What has gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    /// In the order in which they became durable.
    pub pushes: Vec<Fresh>,
    /// Whether there were more than could be held: the inbox has to be read.
    pub lost: bool,
}

/// The hand-over.
#[derive(Debug, Default)]
pub struct HandOver {
    gathered: Mutex<Gathered>,
    told: Notify,
}

impl HandOver {
    pub(crate) fn hand_over(&self, push: Fresh) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if gathered.pushes.len() < MOST {
            gathered.pushes.push(push);
        } else {
            gathered.lost = true;
        }
        drop(gathered);
        self.told.notify_one();
    }

    /// Takes what has gathered, leaving nothing.
    pub fn take(&self) -> Gathered {
        std::mem::take(&mut *self.gathered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something was handed over.
    pub async fn told(&self) {
        self.told.notified().await;
    }
}

//! News of work, inside a process and between the nodes of a cluster. A hint only makes things quick: the poll finds the same.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use domain::{Lane, MessageId};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::hot::enqueue::Queue;

/// What is new since somebody last asked. A hint only makes things quick: the poll finds the same work.
#[derive(Debug, Default)]
pub struct Hints {
    news: Mutex<News>,
    work: Notify,
    settled: Notify,
    /// Armed messages that were cancelled: a call of theirs that has not started must not start any more (I15).
    forbidden: Mutex<HashSet<MessageId>>,
    /// Where the other nodes are told, on a database that has some.
    others: Mutex<Option<UnboundedSender<Told>>>,
    /// Woken when the nodes or their lanes have changed.
    lanes: Notify,
}

/// What one node tells the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    /// Something that is written rarely has changed.
    Everywhere,
    /// Rows wait in the inbox.
    Inbox,
    /// Nodes came or went.
    Lanes,
    /// A queue got messages.
    Queue(Lane, Queue),
    /// A message that may be armed was cancelled.
    Forbidden(MessageId),
}

/// Where to look for work.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct News {
    /// Queues that got messages.
    pub queues: HashSet<(Lane, Queue)>,
    /// Whether inbox rows wait that nobody hands over.
    pub inbox: bool,
    /// Another process wrote: look at everything.
    pub everywhere: bool,
}

impl Hints {
    /// Takes the news, leaving none.
    pub fn take(&self) -> News {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there is news.
    pub async fn wait(&self) {
        self.work.notified().await;
    }

    /// Says that a look everywhere is due.
    pub fn look_everywhere(&self) {
        self.tell(|news| news.everywhere = true);
    }

    /// Whether a message that is armed was cancelled in this process since.
    pub fn is_forbidden(&self, id: MessageId) -> bool {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    pub(crate) fn forbid(&self, id: MessageId) {
        self.others(Told::Forbidden(id));
        self.forbid_here(id);
    }

    fn forbid_here(&self, id: MessageId) {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// These attempts are over.
    pub(crate) fn over(&self, ids: &[MessageId]) {
        let mut forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        if !forbidden.is_empty() {
            forbidden.retain(|id| !ids.contains(id));
        }
    }

    pub(crate) fn queued(&self, queues: impl Iterator<Item = (Lane, Queue)>) {
        let queues: Vec<_> = queues.collect();
        for (lane, queue) in &queues {
            self.others(Told::Queue(*lane, *queue));
        }
        self.tell(|news| news.queues.extend(queues));
    }

    pub(crate) fn replayed(&self) {
        self.others(Told::Inbox);
        self.tell(|news| news.inbox = true);
    }

    pub(crate) fn something_settled(&self) {
        self.settled.notify_waiters();
    }

    /// Resolves after the next commit of outcomes or receipts.
    pub(crate) fn settled(&self) -> impl Future<Output = ()> + '_ {
        let mut notified = Box::pin(self.settled.notified());
        notified.as_mut().enable();
        notified
    }

    pub(crate) fn tell_others(&self, others: UnboundedSender<Told>) {
        *self.others.lock().unwrap_or_else(PoisonError::into_inner) = Some(others);
    }

    /// Tells the other nodes; where there are none, nobody.
    pub(crate) fn others(&self, told: Told) {
        if let Some(others) = &*self.others.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = others.send(told);
        }
    }

    /// Another node told something.
    pub(crate) fn heard(&self, told: Told) {
        match told {
            Told::Everywhere => self.look_everywhere(),
            Told::Inbox => self.tell(|news| news.inbox = true),
            Told::Lanes => self.lanes.notify_one(),
            Told::Queue(lane, queue) => self.tell(|news| {
                news.queues.insert((lane, queue));
            }),
            Told::Forbidden(id) => self.forbid_here(id),
        }
    }

    /// Says that rows were appended to lanes of others.
    pub fn appended_elsewhere(&self) {
        self.others(Told::Inbox);
    }

    /// Resolves when the nodes or their lanes have changed.
    pub async fn lanes_changed(&self) {
        self.lanes.notified().await;
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.work.notify_one();
    }
}

//! The heads of the queues, in memory: which lanes of which queue hold something, and the messages that come next.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use domain::{Lane, MessageId};
use store::hot::claim::Claimed;
use store::hot::enqueue::Queue;

/// Messages of one lane that are read and sent in a row: outcomes that lie beside each other are cheap to write.
pub(super) const RUN: i64 = 256;

/// Messages of one lane in hand at most, where nothing of them can start.
const DEEPEST: i64 = 16 * RUN;

#[derive(Debug, Default)]
pub(super) struct Heads {
    /// By queue: the lanes that may hold something due.
    waiting: BTreeMap<Queue, BTreeSet<Lane>>,
    /// Where each queue goes on: it drains one lane before it turns to the next.
    turn: HashMap<Queue, Lane>,
    runs: HashMap<(Queue, Lane), VecDeque<Claimed>>,
    /// Lanes of which something was told since they were last read.
    news: HashSet<(Queue, Lane)>,
    /// In a run, armed or in flight: not to be taken from a fresh read again.
    held: HashSet<MessageId>,
}

impl Heads {
    pub(super) fn note(&mut self, lane: Lane, queue: Queue) {
        self.waiting.entry(queue).or_default().insert(lane);
        self.news.insert((queue, lane));
    }

    pub(super) fn queues(&self) -> Vec<Queue> {
        self.waiting.keys().copied().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The lane whose turn it is in a queue.
    pub(super) fn lane(&self, queue: Queue) -> Option<Lane> {
        let lanes = self.waiting.get(&queue)?;
        let from = self.turn.get(&queue).copied().unwrap_or(Lane(0));
        lanes.range(from..).next().or_else(|| lanes.first()).copied()
    }

    pub(super) fn needs_reading(&self, queue: Queue, lane: Lane) -> bool {
        self.runs.get(&(queue, lane)).is_none_or(VecDeque::is_empty)
    }

    /// Where the messages in hand cannot start (their people have calls under way) and others may have come: how many to
    /// read to get beyond those in hand.
    pub(super) fn needs_reading_on(&self, queue: Queue, lane: Lane) -> Option<i64> {
        let in_hand = self.runs.get(&(queue, lane)).map_or(0, VecDeque::len);
        let in_hand = i64::try_from(in_hand).ok().filter(|count| *count < DEEPEST)?;
        self.news.contains(&(queue, lane)).then_some(in_hand + RUN)
    }

    /// Takes in what was read; gives whether there was anything new.
    pub(super) fn fill(&mut self, queue: Queue, lane: Lane, read: Vec<Claimed>) -> bool {
        self.news.remove(&(queue, lane));
        let run = self.runs.entry((queue, lane)).or_default();
        for claimed in read {
            if self.held.insert(claimed.id) {
                run.push_back(claimed);
            }
        }
        !run.is_empty()
    }

    /// A lane of a queue holds nothing more that is due: the next lane's turn.
    pub(super) fn exhausted(&mut self, queue: Queue, lane: Lane) {
        if let Some(lanes) = self.waiting.get_mut(&queue) {
            lanes.remove(&lane);
            if lanes.is_empty() {
                self.waiting.remove(&queue);
            }
        }
        self.runs.remove(&(queue, lane));
        self.news.remove(&(queue, lane));
        self.turn.insert(queue, Lane(lane.0.saturating_add(1)));
    }

    /// A lane is another node's now: what is in hand of it is that one's to send.
    pub(super) fn give_up(&mut self, queue: Queue, lane: Lane) {
        for claimed in self.runs.remove(&(queue, lane)).unwrap_or_default() {
            self.held.remove(&claimed.id);
        }
        self.exhausted(queue, lane);
    }

    /// Nothing of this lane can start now, though it holds something: the next lane's turn.
    pub(super) fn pass_over(&mut self, queue: Queue, lane: Lane) {
        self.turn.insert(queue, Lane(lane.0.saturating_add(1)));
    }

    /// Takes up to `count` messages whose person has no call under way and is not among `people`; those taken join them.
    pub(super) fn take(
        &mut self,
        queue: Queue,
        lane: Lane,
        count: usize,
        people: &mut HashSet<String>,
        busy: impl Fn(&str) -> bool,
    ) -> Vec<Claimed> {
        let Some(run) = self.runs.get_mut(&(queue, lane)) else { return Vec::new() };
        let mut taken: Vec<Claimed> = Vec::new();
        let mut kept = VecDeque::new();
        while taken.len() < count
            && let Some(claimed) = run.pop_front()
        {
            if busy(&claimed.openid) || people.contains(&claimed.openid) {
                kept.push_back(claimed);
            } else {
                people.insert(claimed.openid.clone());
                taken.push(claimed);
            }
        }
        kept.append(run);
        *run = kept;
        taken
    }

    /// A message is no longer ours to start: settled, or back in its queue.
    pub(super) fn release(&mut self, id: MessageId) {
        self.held.remove(&id);
    }
}

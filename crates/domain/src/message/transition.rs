//! The transition table of a message: one match, and the table the documents print, derived from it.
//!
//! Whoever changes a message's state (service, dispatcher, receipts, retention of lanes) asks [`transition`] and
//! stores the [`Position`] it answers; SQL that moves many rows at once must do what this table says.

use std::collections::BTreeSet;

use super::{Event, Outcome, OutcomeKind, Receipt, State};

/// Where a message stands, with what its next step depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The state, as shown and counted.
    pub state: State,
    /// What the send call answered. In `queued` and `sending` it is `Unknown` where an earlier attempt may have been
    /// carried out (that is retry's `ambiguous_before`), else `None`.
    pub outcome: Option<OutcomeKind>,
    /// What the sent event said; `Delivered` stands against a second event that says otherwise.
    pub receipt: Option<Receipt>,
    /// No further attempt by itself: somebody cancelled while a call was under way or unresolved, or the message was
    /// taken out of the queue when an attempt may already have been carried out. An explicit resend clears it.
    pub cancel_requested: bool,
}

/// The event cannot happen to a message in this state. For the API this is 409 `already_settled` or `wrong_state`;
/// inside it means that somebody else was faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message that is {state} allows no {event}")]
pub struct Refusal {
    /// Where the message stands.
    pub state: State,
    /// What was refused.
    pub event: Event,
}

impl Position {
    /// A message as it is created: `Scheduled` or `Queued` (any state is taken, for tests and migrations).
    pub const fn new(state: State) -> Self {
        Position { state, outcome: None, receipt: None, cancel_requested: false }
    }

    /// Whether an attempt may have been carried out without anybody knowing.
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self.outcome, Some(OutcomeKind::Unknown))
    }

    fn to(self, state: State) -> Self {
        Position { state, ..self }
    }

    /// The state is a function of outcome and receipt, so that their order does not matter.
    fn answered(self, outcome: OutcomeKind) -> Self {
        let state = match (self.receipt, outcome) {
            (Some(receipt), _) => by_receipt(receipt),
            (None, OutcomeKind::Accepted) => State::Accepted,
            (None, OutcomeKind::Refused) => State::Refused,
            (None, OutcomeKind::Failed) => State::Failed,
            (None, OutcomeKind::Unknown) => State::Unknown,
        };
        Position { state, outcome: Some(outcome), ..self }
    }

    fn with_receipt(self, receipt: Receipt) -> Self {
        // Two receipts that differ come from two attempts of which one arrived: the person has the message.
        let receipt = if self.receipt == Some(Receipt::Delivered) { Receipt::Delivered } else { receipt };
        Position { state: by_receipt(receipt), receipt: Some(receipt), ..self }
    }

    /// Ends without having been sent, unless an earlier attempt may have been carried out: then nobody may say "not
    /// sent", and no policy may start it again.
    fn unsent(self, state: State) -> Self {
        if self.is_ambiguous() {
            Position { state: State::Unknown, cancel_requested: true, ..self }
        } else {
            self.to(state)
        }
    }

    /// Back into the queue, unless a cancel came meanwhile.
    fn again(self) -> Self {
        if self.cancel_requested { self.unsent(State::Cancelled) } else { self.to(State::Queued) }
    }

    /// Starts anew. An unresolved attempt stays on record; a receipt was the resolution of its attempt.
    fn resent(self) -> Self {
        let outcome = self.outcome.filter(|_| self.is_ambiguous() && self.receipt.is_none());
        Position { state: State::Queued, outcome, receipt: None, cancel_requested: false }
    }
}

fn by_receipt(receipt: Receipt) -> State {
    match receipt {
        Receipt::Delivered => State::Delivered,
        Receipt::Undelivered => State::Undelivered,
    }
}

/// What becomes of a message at `position` when `event` happens.
///
/// # Errors
/// [`Refusal`] where the table has no such step; the message stays as it is.
pub fn transition(position: &Position, event: &Event) -> Result<Position, Refusal> {
    use Event as E;
    use State as S;
    let at = *position;
    let ambiguous = Position { outcome: Some(OutcomeKind::Unknown), ..at };
    // A receipt may overtake the answer of the call it belongs to: the answer then still fills in the outcome.
    let unanswered = at.outcome.is_none() || at.is_ambiguous();

    Ok(match (at.state, *event) {
        (S::Scheduled, E::Due) => at.to(S::Queued),
        (S::Queued, E::Arm) => at.to(S::Sending),

        (S::Sending, E::Answered(outcome)) => at.answered(outcome.kind()),
        (S::Sending, E::RetryLater | E::GivenBack) => at.again(),
        (S::Sending, E::RetryAmbiguous) => ambiguous.again(),
        (S::Sending, E::OwnerLost) => at.answered(OutcomeKind::Unknown),

        (S::Delivered | S::Undelivered, E::Answered(outcome)) if unanswered => at.answered(outcome.kind()),
        (S::Delivered | S::Undelivered, E::RetryLater | E::GivenBack) if unanswered => at,
        (S::Delivered | S::Undelivered, E::RetryAmbiguous | E::OwnerLost) if unanswered => ambiguous,

        // Proof of an attempt, wherever the message stands by then; a scheduled one has had no attempt.
        (state, E::ReceiptArrived(receipt)) if state != S::Scheduled => at.with_receipt(receipt),

        // Resolves its `unknown` (given up or not), or fills in the outcome of what a receipt resolved.
        (S::Unknown | S::Failed, E::LateAnswer(Outcome::Unknown)) if at.is_ambiguous() => at,
        (S::Unknown | S::Failed, E::LateAnswer(outcome)) if at.is_ambiguous() => at.answered(outcome.kind()),
        (S::Delivered | S::Undelivered, E::LateAnswer(outcome)) if unanswered => at.answered(outcome.kind()),
        // Put back into the queue meanwhile, and not called yet: the person has it, or will.
        (S::Queued, E::LateAnswer(Outcome::Accepted { .. })) if at.is_ambiguous() => {
            at.answered(OutcomeKind::Accepted)
        }

        (S::Scheduled | S::Queued, E::Cancel) => at.unsent(S::Cancelled),
        // What may have gone out cannot be taken back; it is only not sent once more.
        (S::Sending | S::Unknown, E::Cancel) => Position { cancel_requested: true, ..at },
        (S::Scheduled | S::Queued, E::Expire) => at.unsent(S::Expired),
        (S::Scheduled | S::Queued, E::Skip) => at.unsent(S::Skipped),
        (S::Scheduled | S::Queued, E::TemplateChanged) => at.unsent(S::Failed),

        // The outcome stays `Unknown`: a receipt or a late answer may still tell.
        (S::Unknown, E::GiveUp) => at.to(S::Failed),
        // Not of what arrived or is about to: that would be a second message.
        (
            S::Unknown | S::Undelivered | S::Refused | S::Failed | S::Expired | S::Cancelled | S::Skipped,
            E::Resend,
        ) => at.resent(),

        (state, event) => return Err(Refusal { state, event }),
    })
}

/// Every step that [`transition`] allows from a position a message can come to, as (state, event, next state),
/// sorted by state and then event. One event may have two next states: which, depends on the rest of the position
/// (a cancel while sending, an ambiguous attempt, a receipt).
pub fn table() -> Vec<(State, &'static str, State)> {
    let mut seen = BTreeSet::new();
    let mut rows = BTreeSet::new();
    let mut open = vec![Position::new(State::Scheduled)];
    while let Some(position) = open.pop() {
        if !seen.insert(position) {
            continue;
        }
        for event in Event::ALL {
            if let Ok(next) = transition(&position, event) {
                rows.insert((position.state, event.name(), next.state));
                open.push(next);
            }
        }
    }
    rows.into_iter().collect()
}

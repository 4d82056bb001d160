//! The accounts of a campaign: every recipient is in exactly one place (I9).

use crate::message::State;

/// How many recipients there are, and where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accounts {
    /// Frozen at the start.
    pub recipients: i64,
    /// Not a message yet.
    pub todo: i64,
    /// By the state's code, from 1.
    states: [i64; State::ALL.len()],
}

/// The accounts do not close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{recipients} recipients, but {counted} in the accounts")]
pub struct Broken {
    /// How many there are.
    pub recipients: i64,
    /// How many are counted.
    pub counted: i64,
}

fn place(state: State) -> usize {
    usize::try_from(state.code() - 1).unwrap_or(0)
}

impl Accounts {
    /// How many messages are in a state.
    pub fn of(&self, state: State) -> i64 {
        self.states[place(state)]
    }

    /// Adds messages to a state (or takes them away).
    pub fn add(&mut self, state: State, count: i64) {
        self.states[place(state)] += count;
    }

    /// A message went from one state to another.
    pub fn moved(&mut self, before: State, after: State) {
        self.add(before, -1);
        self.add(after, 1);
    }

    /// Adds the accounts of another lane.
    pub fn merge(&mut self, other: &Self) {
        self.recipients += other.recipients;
        self.todo += other.todo;
        for (sum, more) in self.states.iter_mut().zip(other.states) {
            *sum += more;
        }
    }

    /// Messages on which there is still work to do, and recipients that are none yet.
    pub fn open(&self) -> i64 {
        self.todo + self.of(State::Scheduled) + self.of(State::Queued) + self.of(State::Sending)
    }

    /// Whether every recipient is in exactly one place.
    ///
    /// # Errors
    /// [`Broken`] where the sum differs or a place holds less than nothing.
    pub fn check(&self) -> Result<(), Broken> {
        let counted = self.todo + self.states.iter().sum::<i64>();
        let negative = self.todo < 0 || self.states.iter().any(|count| *count < 0);
        if counted == self.recipients && !negative {
            Ok(())
        } else {
            Err(Broken { recipients: self.recipients, counted })
        }
    }

    /// What is due is queued: from then on nothing of it is scheduled.
    pub fn due(mut self) -> Self {
        let scheduled = self.of(State::Scheduled);
        self.add(State::Scheduled, -scheduled);
        self.add(State::Queued, scheduled);
        self
    }

    /// Whether nothing is in it.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// The counts in the order of the states.
    pub fn states(&self) -> [i64; State::ALL.len()] {
        self.states
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn moves_keep_the_sum(moves in prop::collection::vec((0usize..12, 0usize..12), 0..60)) {
            let mut accounts = Accounts { recipients: 100, todo: 40, ..Accounts::default() };
            accounts.add(State::Queued, 60);
            prop_assert_eq!(accounts.check(), Ok(()));
            for (from, to) in moves {
                let (from, to) = (State::ALL[from], State::ALL[to]);
                if accounts.of(from) > 0 {
                    accounts.moved(from, to);
                }
                prop_assert_eq!(accounts.check(), Ok(()));
                prop_assert_eq!(accounts.due().check(), Ok(()));
            }
        }
    }

    #[test]
    fn a_missing_recipient_and_a_debt_are_noticed() {
        let mut accounts = Accounts { recipients: 1, ..Accounts::default() };
        assert!(accounts.check().is_err());
        accounts.add(State::Failed, 2);
        accounts.add(State::Sending, -1);
        assert!(accounts.check().is_err(), "the sum is right, but nobody owes a recipient");
    }
}

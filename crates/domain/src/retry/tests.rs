//! Retry decisions, alone and together with the transition table.

use proptest::prelude::*;

use super::*;
use crate::message::{OutcomeKind, Position, Receipt, State, transition};

const ANSWERS: [Answer; 11] = [
    Answer::Ok { msgid: Some(9) },
    Answer::NotSent,
    Answer::TokenRejected,
    Answer::Busy,
    Answer::MinuteLimit,
    Answer::SystemBusy,
    Answer::NoAnswer,
    Answer::NoGrant,
    Answer::Permanent,
    Answer::Configuration,
    Answer::Quota,
];
const FIRST: Tried =
    Tried { attempts: 1, ambiguous_before: false, token_refreshed: false, cancel_requested: false };

fn at(answer: Answer, tried: Tried) -> Decision {
    decide(answer, &tried, &RetryPolicy::default(), u32::MAX)
}

#[test]
fn the_table() {
    let retry = |after_ms| Decision::Retry { after_ms, ambiguous: false, refresh_token: false };
    let gate = |gate| Decision::CloseGate { gate };
    assert_eq!(
        ANSWERS.map(|answer| at(answer, FIRST)),
        [
            Decision::Settle(Outcome::Accepted { msgid: Some(9) }),
            retry(1_999),
            Decision::Retry { after_ms: 0, ambiguous: false, refresh_token: true },
            retry(499),
            retry(65_999),
            Decision::Retry { after_ms: 1_999, ambiguous: true, refresh_token: false },
            Decision::Settle(Outcome::Unknown),
            Decision::Settle(Outcome::Refused),
            Decision::Settle(Outcome::Failed),
            gate(Gate::Configuration),
            gate(Gate::Quota),
        ]
    );
    let again = Tried { token_refreshed: true, ..FIRST };
    assert_eq!(at(Answer::TokenRejected, again), gate(Gate::Configuration));
    let last = Tried { attempts: 5, ..FIRST };
    assert_eq!(at(Answer::SystemBusy, last), Decision::Settle(Outcome::Unknown));
    assert_eq!(at(Answer::NotSent, Tried { attempts: 1000, ..FIRST }), retry(299_999));
}

#[test]
fn a_cancel_forbids_each_retry() {
    let cancelled = Tried { cancel_requested: true, ..FIRST };
    let ambiguous = Tried { ambiguous_before: true, ..cancelled };
    for answer in ANSWERS {
        // With an ambiguous attempt behind it no answer leads to another; a closed gate concerns the whole app.
        assert!(!matches!(at(answer, ambiguous), Decision::Retry { .. }), "{answer:?}");
    }
    assert_eq!(at(Answer::SystemBusy, cancelled), Decision::Settle(Outcome::Unknown));
    assert_eq!(at(Answer::Quota, ambiguous), Decision::CloseGate { gate: Gate::Quota });
    // Nothing went out: `RetryLater` turns this one into a cancelled message.
    assert_eq!(at(Answer::Busy, cancelled), at(Answer::Busy, FIRST));
}

#[test]
fn a_policy_resends_only_so_often() {
    let policy = RetryPolicy::default();
    let once = Unresolved { attempts: 1, refused_since: false, cancel_requested: false, expired: false };
    assert_eq!(OnUnknown::Hold.event(once, &policy), None);
    assert_eq!(OnUnknown::Resend.event(once, &policy), Some(Event::Resend));
    for message in [
        Unresolved { attempts: 5, ..once },
        Unresolved { refused_since: true, ..once },
        Unresolved { cancel_requested: true, ..once },
        Unresolved { expired: true, ..once },
    ] {
        assert_eq!(OnUnknown::Resend.event(message, &policy), None, "{message:?}");
        assert_eq!(OnUnknown::Hold.event(message, &policy), None, "{message:?}");
        assert_eq!(OnUnknown::GiveUp.event(message, &policy), Some(Event::GiveUp), "{message:?}");
    }
    assert_eq!("give_up".parse(), Ok(OnUnknown::GiveUp));
}

#[test]
fn a_clear_no_after_an_ambiguous_attempt_tells_nothing_of_that_attempt() {
    let again = Tried { ambiguous_before: true, attempts: 2, ..FIRST };
    for answer in [Answer::NoGrant, Answer::Permanent] {
        assert_eq!(at(answer, again), Decision::Settle(Outcome::Unknown), "{answer:?}");
    }
}

fn any_tried() -> impl Strategy<Value = Tried> {
    (1..12_u32, any::<[bool; 3]>()).prop_map(|(attempts, [ambiguous, refreshed, cancel])| Tried {
        attempts,
        ambiguous_before: ambiguous,
        token_refreshed: refreshed,
        cancel_requested: cancel,
    })
}

fn any_answer() -> impl Strategy<Value = Answer> {
    proptest::sample::select(ANSWERS.to_vec())
}

proptest! {
    #[test]
    fn no_answer_is_never_retried(tried in any_tried(), random in any::<u32>()) {
        let decision = decide(Answer::NoAnswer, &tried, &RetryPolicy::default(), random);
        prop_assert_eq!(decision, Decision::Settle(Outcome::Unknown));
    }

    #[test]
    fn what_may_have_gone_out_is_never_refused(answer in any_answer(), tried in any_tried()) {
        let tried = Tried { ambiguous_before: true, ..tried };
        prop_assert_ne!(at(answer, tried), Decision::Settle(Outcome::Refused));
        prop_assert_ne!(at(answer, tried), Decision::Settle(Outcome::Failed));
    }

    #[test]
    fn waits_are_bounded_and_do_not_fall(
        answer in any_answer(), tried in any_tried(), random in any::<u32>(),
        base in 0..100_000_i64, cap in 0..1_000_000_i64,
    ) {
        let policy = RetryPolicy { base_ms: base, cap_ms: cap, max_attempts: 12, ..RetryPolicy::default() };
        let next = Tried { attempts: tried.attempts + 1, ..tried };
        let wait = |tried: &Tried| match decide(answer, tried, &policy, random) {
            Decision::Retry { after_ms, .. } => Some(after_ms),
            _ => None,
        };
        if let Some(first) = wait(&tried) {
            let longest = cap.max(policy.busy_cap_ms).max(66_000);
            prop_assert!((0..=longest).contains(&first));
            if matches!(answer, Answer::NotSent | Answer::SystemBusy) {
                let full = (base << (tried.attempts - 1)).min(cap);
                prop_assert!((full / 2..=full).contains(&first), "{first} of {full}");
            }
            prop_assert!(wait(&next).is_none_or(|second| second >= first));
        }
    }

    #[test]
    fn odd_policies_do_no_harm(answer in any_answer(), attempts in any::<u32>(), random in any::<u32>(), ms in any::<i64>()) {
        let policy = RetryPolicy {
            max_attempts: u32::MAX, base_ms: ms, cap_ms: ms, busy_ms: ms, busy_cap_ms: ms, minute_ms: ms,
        };
        if let Decision::Retry { after_ms, .. } = decide(answer, &Tried { attempts, ..FIRST }, &policy, random) {
            prop_assert!(after_ms >= 0);
        }
    }

    /// Decisions and transition table together: any answers, at any time a cancel. The message ends; a token is
    /// refreshed once; after the first ambiguous attempt it is accepted or unknown.
    #[test]
    fn a_message_lives_by_both_tables(
        answers in prop::collection::vec((any_answer(), any::<u32>()), 1..30),
        cancel in prop::option::of(0..30_usize),
    ) {
        let mut position = Position::new(State::Queued);
        let (mut refreshes, mut was_ambiguous) = (0, false);
        for (index, (answer, random)) in answers.into_iter().enumerate() {
            position = transition(&position, &Event::Arm).unwrap();
            if cancel == Some(index) {
                position = transition(&position, &Event::Cancel).unwrap();
            }
            let tried = Tried {
                attempts: u32::try_from(index).unwrap() + 1,
                ambiguous_before: position.is_ambiguous(),
                token_refreshed: refreshes > 0,
                cancel_requested: position.cancel_requested,
            };
            let event = match decide(answer, &tried, &RetryPolicy::default(), random) {
                Decision::Settle(outcome) => Event::Answered(outcome),
                Decision::Retry { ambiguous: true, .. } => Event::RetryAmbiguous,
                Decision::Retry { refresh_token, .. } => {
                    refreshes += i32::from(refresh_token);
                    Event::RetryLater
                }
                Decision::CloseGate { .. } => Event::RetryLater,
            };
            was_ambiguous |= event == Event::RetryAmbiguous;
            position = transition(&position, &event).unwrap();
            prop_assert!(refreshes <= 1);
            if was_ambiguous {
                let (accepted, unknown) = (Some(OutcomeKind::Accepted), Some(OutcomeKind::Unknown));
                prop_assert!([accepted, unknown].contains(&position.outcome), "{position:?}");
                prop_assert_ne!(position.state, State::Cancelled);
            }
            prop_assert!(cancel != Some(index) || position.state != State::Queued);
            if position.state != State::Queued {
                break;
            }
        }
    }

    /// A policy acts on what stays unknown, people cancel, evidence comes: never more attempts than the policy allows,
    /// none after a cancel or after evidence, and `give_up` leaves the question open.
    #[test]
    fn a_policy_acts_within_its_limits(
        on_unknown in proptest::sample::select(OnUnknown::ALL),
        steps in prop::collection::vec((any_answer(), any::<[bool; 3]>()), 1..40),
    ) {
        let policy = RetryPolicy::default();
        let mut position = Position::new(State::Queued);
        let (mut attempts, mut last) = (0, Answer::NotSent);
        for (answer, [cancel, receipt, expired]) in steps {
            if position.state == State::Queued {
                position = transition(&position, &Event::Arm).unwrap();
                (attempts, last) = (attempts + 1, answer);
                let tried = Tried { attempts, ambiguous_before: position.is_ambiguous(), ..FIRST };
                let event = match decide(answer, &tried, &policy, 0) {
                    Decision::Settle(outcome) => Event::Answered(outcome),
                    Decision::Retry { ambiguous: true, .. } => Event::RetryAmbiguous,
                    Decision::Retry { .. } | Decision::CloseGate { .. } => Event::RetryLater,
                };
                position = transition(&position, &event).unwrap();
            }
            if cancel && position.state == State::Unknown {
                position = transition(&position, &Event::Cancel).unwrap();
                prop_assert!(position.cancel_requested && position.state == State::Unknown);
            }
            if receipt && position.state == State::Unknown {
                position = transition(&position, &Event::ReceiptArrived(Receipt::Delivered)).unwrap();
            }
            if position.state == State::Unknown {
                let refused_since = !matches!(last, Answer::NoAnswer | Answer::SystemBusy);
                let cancel_requested = position.cancel_requested;
                let message = Unresolved { attempts, refused_since, cancel_requested, expired };
                if let Some(event) = on_unknown.event(message, &policy) {
                    let after = transition(&position, &event).unwrap();
                    prop_assert!(after.is_ambiguous(), "the question stays open");
                    prop_assert!(after.state != State::Queued || (!cancel_requested && !expired));
                    prop_assert!(after.state != State::Queued || attempts < policy.max_attempts);
                    position = after;
                }
                prop_assert!(on_unknown != OnUnknown::Hold || position.state == State::Unknown);
                prop_assert!(on_unknown != OnUnknown::GiveUp || position.state == State::Failed);
            }
        }
    }
}

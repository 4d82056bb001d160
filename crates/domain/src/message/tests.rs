//! The transition table, explored.

use proptest::prelude::*;

use super::*;

/// Plays events; those the table refuses leave the message as it is.
fn play(start: Position, events: &[Event]) -> Position {
    events.iter().fold(start, |position, event| transition(&position, event).unwrap_or(position))
}

fn must(start: Position, events: &[Event]) -> Position {
    events.iter().fold(start, |position, event| transition(&position, event).unwrap())
}

fn queued() -> Position {
    Position::new(State::Queued)
}

const ACCEPTED: Event = Event::Answered(Outcome::Accepted { msgid: Some(7) });
const DELIVERED: Event = Event::ReceiptArrived(Receipt::Delivered);
const UNDELIVERED: Event = Event::ReceiptArrived(Receipt::Undelivered);

#[test]
fn the_usual_way() {
    let end = must(Position::new(State::Scheduled), &[Event::Due, Event::Arm, ACCEPTED, DELIVERED]);
    assert_eq!((end.state, end.outcome), (State::Delivered, Some(OutcomeKind::Accepted)));
}

#[test]
fn a_cancel_while_sending_forbids_the_retry() {
    let end = must(queued(), &[Event::Arm, Event::Cancel, Event::RetryLater]);
    assert_eq!(end.state, State::Cancelled);
    let end = must(queued(), &[Event::Arm, Event::Cancel, Event::GivenBack]);
    assert_eq!(end.state, State::Cancelled);
    let end = must(queued(), &[Event::Arm, Event::Cancel, ACCEPTED]);
    assert_eq!(end.state, State::Accepted);
}

#[test]
fn what_may_have_gone_out_is_never_called_unsent() {
    for last in [Event::Cancel, Event::Expire, Event::Skip, Event::TemplateChanged] {
        let end = must(queued(), &[Event::Arm, Event::RetryAmbiguous, last]);
        assert_eq!((end.state, end.cancel_requested), (State::Unknown, true), "{last}");
        // Also when a later attempt certainly did not go out.
        let end = must(queued(), &[Event::Arm, Event::RetryAmbiguous, Event::Arm, Event::RetryLater, last]);
        assert_eq!(end.state, State::Unknown, "{last}");
        let end = must(queued(), &[Event::Arm, Event::RetryLater, last]);
        assert_ne!(end.state, State::Unknown, "{last}");
    }
}

#[test]
fn a_receipt_during_a_retry_stops_it() {
    let end = must(queued(), &[Event::Arm, Event::RetryAmbiguous, DELIVERED]);
    assert_eq!(end.state, State::Delivered);
    assert!(transition(&end, &Event::Arm).is_err());
    let end = must(queued(), &[Event::Arm, Event::RetryAmbiguous, Event::Arm, DELIVERED, Event::RetryLater]);
    assert_eq!(end.state, State::Delivered);
}

#[test]
fn a_cancel_of_what_is_unknown_only_forbids_another_attempt() {
    let unknown = must(queued(), &[Event::Arm, Event::OwnerLost, Event::Cancel]);
    assert_eq!((unknown.state, unknown.cancel_requested), (State::Unknown, true));
    assert_eq!(must(unknown, &[DELIVERED]).state, State::Delivered);
    assert_eq!(must(unknown, &[Event::GiveUp]).state, State::Failed);
    assert_eq!(must(unknown, &[Event::Resend]).state, State::Queued, "an operator may want it all the same");
}

#[test]
fn a_late_answer_is_evidence_for_what_is_unresolved_and_for_nothing_else() {
    let late = |outcome| Event::LateAnswer(outcome);
    let accepted = Outcome::Accepted { msgid: Some(7) };
    let unknown = must(queued(), &[Event::Arm, Event::Answered(Outcome::Unknown)]);
    for (outcome, state) in [
        (accepted, State::Accepted),
        (Outcome::Refused, State::Refused),
        (Outcome::Failed, State::Failed),
        (Outcome::Unknown, State::Unknown),
    ] {
        assert_eq!(must(unknown, &[late(outcome)]).state, state);
        let received = must(unknown, &[DELIVERED, late(outcome)]);
        assert_eq!((received.state, received.outcome), (State::Delivered, Some(outcome.kind())));
    }
    // Queued for another attempt that is needless now; a no says nothing about the attempt to come.
    let resent = must(unknown, &[Event::Resend]);
    assert_eq!(must(resent, &[late(accepted)]).state, State::Accepted);
    assert!(transition(&resent, &late(Outcome::Refused)).is_err());
    for settled in [
        must(queued(), &[Event::Arm, ACCEPTED]),
        must(queued(), &[Event::Arm, Event::Answered(Outcome::Refused)]),
        must(queued(), &[Event::Arm, ACCEPTED, DELIVERED]),
        must(queued(), &[Event::Cancel]),
        queued(),
        must(resent, &[Event::Arm]),
    ] {
        assert!(transition(&settled, &late(accepted)).is_err(), "{settled:?}");
    }
}

#[test]
fn giving_up_keeps_the_question_open_for_evidence() {
    let up = must(queued(), &[Event::Arm, Event::OwnerLost, Event::GiveUp]);
    assert_eq!((up.state, up.outcome), (State::Failed, Some(OutcomeKind::Unknown)));
    assert_eq!(must(up, &[DELIVERED]).state, State::Delivered);
    let late = Event::LateAnswer(Outcome::Accepted { msgid: None });
    assert_eq!(must(up, &[late]).state, State::Accepted);
    // What WeChat itself failed is no question.
    let failed = must(queued(), &[Event::Arm, Event::Answered(Outcome::Failed)]);
    assert!(transition(&failed, &late).is_err());
}

#[test]
fn what_arrived_is_not_resent() {
    for end in [must(queued(), &[Event::Arm, ACCEPTED]), must(queued(), &[Event::Arm, ACCEPTED, DELIVERED])] {
        let refusal = transition(&end, &Event::Resend).unwrap_err();
        assert_eq!(refusal, Refusal { state: end.state, event: Event::Resend });
    }
    let again = must(queued(), &[Event::Arm, ACCEPTED, UNDELIVERED, Event::Resend]);
    assert_eq!(again, queued());
    // An unresolved attempt stays on record when it is resent.
    let again = must(queued(), &[Event::Arm, Event::OwnerLost, Event::Resend]);
    assert!(again.is_ambiguous());
}

#[test]
fn names_are_unique_and_lists_cover() {
    let mut names: Vec<_> = Event::ALL.iter().map(Event::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Event::ALL.len());
    assert_eq!(State::ALL.iter().filter(|state| state.list().is_none()).count(), 3);
    assert_eq!(State::ALL.iter().filter(|state| state.is_open()).count(), 4);
    assert!(State::ALL.iter().all(|state| state.is_open() != state.is_settled()));
}

#[test]
fn the_printed_table_has_every_state_and_the_steps_of_the_architecture() {
    let table = table();
    for row in [
        (State::Scheduled, "due", State::Queued),
        (State::Queued, "arm", State::Sending),
        (State::Sending, "answered_refused", State::Refused),
        (State::Sending, "receipt_delivered", State::Delivered),
        (State::Sending, "retry_later", State::Queued),
        (State::Sending, "retry_later", State::Cancelled),
        (State::Sending, "owner_lost", State::Unknown),
        (State::Queued, "template_changed", State::Failed),
        (State::Unknown, "give_up", State::Failed),
        (State::Unknown, "resend", State::Queued),
        (State::Unknown, "late_accepted", State::Accepted),
    ] {
        assert!(table.contains(&row), "{row:?}");
    }
    for &state in State::ALL {
        assert!(table.iter().any(|row| row.0 == state), "nothing leads on from {state}");
        assert!(
            state == State::Scheduled || table.iter().any(|row| row.2 == state),
            "nothing leads to {state}"
        );
    }
    // Only the dispatcher starts a call, and only from the queue.
    assert!(table.iter().filter(|row| row.2 == State::Sending).all(|row| match row.1 {
        "arm" => row.0 == State::Queued,
        other => row.0 == State::Sending && other == "cancel",
    }));
}

fn any_event() -> impl Strategy<Value = Event> {
    proptest::sample::select(Event::ALL)
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    proptest::sample::select(vec![
        Outcome::Accepted { msgid: Some(1) },
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Unknown,
    ])
}

fn any_start() -> impl Strategy<Value = Position> {
    proptest::sample::select(vec![Position::new(State::Scheduled), queued()])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// I4: whatever happened before, the message can still be brought to rest in exactly one state.
    #[test]
    fn every_message_settles(start in any_start(), events in prop::collection::vec(any_event(), 0..40)) {
        let position = play(start, &events);
        let end = play(position, &[Event::RetryLater, Event::Expire, Event::GiveUp]);
        prop_assert!(end.state.is_settled(), "{end:?}");
        let unmoved = play(end, &[
            Event::Due, Event::Arm, Event::Expire, Event::Skip, Event::TemplateChanged, Event::Cancel,
            Event::GiveUp, Event::RetryLater, Event::GivenBack,
        ]);
        prop_assert_eq!(unmoved, end);
    }

    /// The answer and the receipts come in any order, also with a second, contradicting receipt.
    #[test]
    fn outcome_and_receipts_commute(
        start in prop::collection::vec(any_event(), 0..20),
        outcome in any_outcome(),
        receipts in prop::collection::vec(proptest::sample::select(vec![DELIVERED, UNDELIVERED]), 1..3),
        place in 0usize..3,
    ) {
        let mut sending = play(queued(), &start);
        sending = play(sending, &[Event::Due, Event::Resend, Event::Arm]);
        if sending.state != State::Sending {
            return Ok(());
        }
        let answer = Event::Answered(outcome);
        let mut first = vec![answer];
        first.extend(&receipts);
        let mut other = receipts.clone();
        other.reverse();
        other.insert(place.min(other.len()), answer);
        prop_assert_eq!(must(sending, &first), must(sending, &other));
    }

    /// No way from an end back to a call but a resend.
    #[test]
    fn an_end_leads_to_no_call_without_a_resend(
        end in proptest::sample::select(vec![State::Cancelled, State::Expired, State::Skipped]),
        events in prop::collection::vec(any_event(), 0..40),
    ) {
        let mut position = Position::new(end);
        for event in events.iter().filter(|event| **event != Event::Resend) {
            position = transition(&position, event).unwrap_or(position);
            prop_assert!(position.state.is_settled());
        }
    }

    /// After a cancel nothing but a resend starts another attempt.
    #[test]
    fn after_a_cancel_nothing_is_queued_again(
        before in prop::collection::vec(any_event(), 0..20),
        after in prop::collection::vec(any_event(), 0..40),
    ) {
        let mut position = play(queued(), &before);
        let Ok(cancelled) = transition(&position, &Event::Cancel) else { return Ok(()) };
        position = cancelled;
        for event in after.iter().filter(|event| **event != Event::Resend) {
            position = transition(&position, event).unwrap_or(position);
            prop_assert!(!matches!(position.state, State::Scheduled | State::Queued));
        }
    }

    /// While an attempt may have gone out, the message is never in the list of those that did not (giving up apart).
    #[test]
    fn an_unresolved_attempt_is_not_called_unsent(events in prop::collection::vec(any_event(), 0..40)) {
        let mut position = queued();
        for event in &events {
            position = transition(&position, event).unwrap_or(position);
            if position.is_ambiguous() && position.receipt.is_none() && *event != Event::GiveUp {
                let given_up = position.state == State::Failed;
                prop_assert!(given_up || position.state.list() != Some(List::NotSent), "{position:?}");
            }
        }
    }

    /// A receipt of delivery stands, whatever comes after it except a resend (which needs it to be contradicted).
    #[test]
    fn delivered_stands(events in prop::collection::vec(any_event(), 0..40)) {
        let mut position = play(queued(), &[Event::Arm, DELIVERED]);
        for event in &events {
            position = transition(&position, event).unwrap_or(position);
            prop_assert_eq!(position.state, State::Delivered);
        }
    }
}

//! Random acts in random order, against a model that keeps every grant by itself.

use proptest::prelude::*;

use super::{Book, accepted, book, grant, refused, reject, report};
use crate::ledger::*;

/// Keeps each grant that is left, by the time it was won, and knows nothing of entries, sums or histories.
#[derive(Default)]
struct Model {
    left: Vec<i64>,
    found: Vec<i64>,
    refused_at: i64,
    /// Reports and events that are not yet paired.
    reports: Vec<i64>,
    events: Vec<i64>,
}

fn nearest(times: &mut Vec<i64>, at: i64) -> Option<i64> {
    let near = (0..times.len()).filter(|&index| (times[index] - at).abs() <= 120_000);
    near.min_by_key(|&index| (times[index] - at).abs()).map(|index| times.remove(index))
}

impl Model {
    fn win(&mut self, at: i64) {
        let taken = self.refused_at;
        let waiting = self.found.iter().copied();
        let explained = waiting.filter(|&attempt| at < attempt && !(at <= taken && taken < attempt)).min();
        if let Some(attempt) = explained {
            let index = self.found.iter().position(|&open| open == attempt).unwrap();
            self.found.remove(index);
        } else if at > taken {
            self.left.push(at);
        }
    }

    fn apply(&mut self, change: Change, written_at: i64) {
        match change {
            Change::Grant { at } => match nearest(&mut self.reports, at) {
                Some(reported) => {
                    if let Some(index) = self.left.iter().position(|&won| won == reported) {
                        self.left.remove(index);
                        self.win(at);
                    }
                }
                None => {
                    self.events.push(at);
                    self.win(at);
                }
            },
            Change::Report { at } => {
                if nearest(&mut self.events, at).is_none() {
                    self.reports.push(at);
                    self.win(at);
                }
            }
            Change::PopupReject { .. } => {}
            Change::ChangeReject { at } if at > self.refused_at => {
                self.refused_at = at;
                self.left.retain(|&won| won > at);
            }
            Change::ChangeReject { .. } => {}
            Change::Accepted { attempt_at } if self.left.is_empty() => self.found.push(attempt_at),
            Change::Accepted { .. } => self.take(1),
            Change::Refused43101 { attempt_at } => self.left.retain(|&won| won > attempt_at),
            Change::Import { count } => self.left.extend((0..count).map(|_| written_at)),
            Change::Adjust { delta } if delta > 0 => self.left.extend((0..delta).map(|_| written_at)),
            Change::Adjust { delta } => self.take(delta.unsigned_abs()),
        }
    }

    fn take(&mut self, count: u64) {
        self.left.sort_unstable();
        self.left.drain(..self.left.len().min(usize::try_from(count).unwrap()));
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    // Few seconds, so that acts meet in one; some far apart, so that not all reports and events are of one act.
    let second = prop_oneof![9 => 1..30_i64, 1 => (1..30_i64).prop_map(|minute| minute * 60)];
    prop_oneof![
        5 => second.clone().prop_map(grant),
        3 => second.clone().prop_map(report),
        1 => second.clone().prop_map(|second| Change::PopupReject { at: second * 1000 }),
        2 => second.clone().prop_map(reject),
        4 => second.clone().prop_map(accepted),
        2 => second.prop_map(refused),
        1 => (0..3_u32).prop_map(|count| Change::Import { count }),
        1 => (-3..3_i64).prop_map(|delta| Change::Adjust { delta }),
    ]
}

/// The writing clock runs through the same seconds as the acts, so that imports fall among them.
fn any_story() -> impl Strategy<Value = Vec<(Change, i64)>> {
    prop::collection::vec((any_change(), 1_000..30_000_i64), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// I8 after every step (in `Book::check`), and the same balance as the model.
    #[test]
    fn agrees_with_the_model(story in any_story()) {
        let (mut book, mut model) = (Book::default(), Model::default());
        for (change, written_at) in story {
            match book.apply(change, written_at) {
                Ok(()) => model.apply(change, written_at),
                Err(error) => prop_assert_eq!(error, LedgerError::NothingToAdjust),
            }
            prop_assert_eq!(book.subscription.balance, i64::try_from(model.left.len()).unwrap(), "{:?}", change);
            prop_assert_eq!(book.subscription.found_open, i32::try_from(model.found.len()).unwrap());
        }
    }

    /// A batch through one account gives the entries that one account per change gives.
    #[test]
    fn a_batch_is_its_changes(story in any_story(), cut in 0..40_usize) {
        let mut single = Book::default();
        let cut = cut.min(story.len());
        for (change, written_at) in &story[..cut] {
            let _ = single.apply(*change, *written_at);
        }
        let before = single.clone();
        let mut batch = Account::new(before.subscription.clone(), TemplateKind::OneTime);
        for (change, written_at) in &story[cut..] {
            let _ = single.apply(*change, *written_at);
            if batch.apply(*change, *written_at, None) == Err(LedgerError::NeedsPast) {
                batch.load_past(before.entries.clone());
                let _ = batch.apply(*change, *written_at, None);
            }
        }
        let (subscription, new) = batch.into_parts();
        prop_assert_eq!(subscription, single.subscription);
        prop_assert_eq!(&new[..], &single.entries[before.entries.len()..]);
    }

    /// Whatever order grants and refusals come in, the end is the same.
    #[test]
    fn the_order_of_arrival_does_not_matter(
        (acts, shuffled) in prop::collection::vec((1..40_i64, 0..3_u8), 1..12).prop_flat_map(|acts| {
            let changes: Vec<Change> = acts.iter().map(|&(second, kind)| match kind {
                0 => reject(second),
                1 => Change::PopupReject { at: second * 1000 },
                _ => grant(second),
            }).collect();
            (Just(changes.clone()), Just(changes).prop_shuffle())
        }),
    ) {
        let (one, other) = (book(&acts), book(&shuffled));
        prop_assert_eq!(one.subscription.balance, other.subscription.balance);
        prop_assert_eq!(one.subscription.status_at, other.subscription.status_at);
        prop_assert_eq!(one.subscription.refused_at, other.subscription.refused_at);
        prop_assert!(one.subscription.known && other.subscription.known);
        let taken = one.subscription.refused_at;
        let left = acts.iter().filter(|act| matches!(act, Change::Grant { at } if *at > taken)).count();
        prop_assert_eq!(one.subscription.balance, i64::try_from(left).unwrap());
    }

    /// I8: one act, reported and pushed, among refusals, in any order.
    #[test]
    fn a_report_and_its_event_are_one_act_in_any_order(
        act in 1..40_i64, delay in 0..60_i64,
        mut acts in prop::collection::vec((1..100_i64).prop_map(reject), 0..5),
        place in any::<[prop::sample::Index; 2]>(),
    ) {
        let taken = acts.iter().filter_map(|act| match act { Change::ChangeReject { at } => Some(*at), _ => None }).max();
        acts.insert(place[0].index(acts.len() + 1), grant(act));
        acts.insert(place[1].index(acts.len() + 1), report(act + delay));
        let left = i64::from(taken.is_none_or(|taken| act * 1000 > taken));
        prop_assert_eq!(book(&acts).subscription.balance, left);
    }

    /// The events of sends that were made before them come in any order; each `found` is explained at most once.
    #[test]
    fn late_grants_explain_found_sends_in_any_order(
        sends in prop::collection::vec(1..40_i64, 1..6),
        (grants, shuffled) in prop::collection::vec(1..40_i64, 1..8)
            .prop_flat_map(|grants| (Just(grants.clone()), Just(grants).prop_shuffle())),
    ) {
        let story = |grants: &[i64]| -> Vec<Change> {
            sends.iter().copied().map(accepted).chain(grants.iter().copied().map(grant)).collect()
        };
        let (one, other) = (book(&story(&grants)), book(&story(&shuffled)));
        prop_assert_eq!(one.subscription.balance, other.subscription.balance);
        prop_assert_eq!(one.subscription.found_open, other.subscription.found_open);
        let explained = i64::try_from(sends.len()).unwrap() - i64::from(one.subscription.found_open);
        prop_assert_eq!(one.subscription.balance, i64::try_from(grants.len()).unwrap() - explained);
    }

    /// Where retention took the oldest entries the sums still hold, and 43101 adds nothing.
    #[test]
    fn a_past_cut_short_does_no_harm(story in any_story(), kept in 0..10_usize, last in any_change()) {
        let mut book = Book::default();
        for (change, written_at) in story {
            let _ = book.apply(change, written_at);
        }
        let before = book.subscription.clone();
        let kept = book.entries[book.entries.len().saturating_sub(kept)..].to_vec();
        let mut account = Account::new(before.clone(), TemplateKind::OneTime);
        account.load_past(kept);
        let _ = account.apply(last, 1, None);
        let (after, new) = account.into_parts();
        prop_assert!(after.balance >= 0 && after.found_open >= 0);
        prop_assert_eq!(before.balance + new.iter().map(|entry| entry.delta).sum::<i64>(), after.balance);
        if let Change::Refused43101 { .. } = last {
            prop_assert!(after.balance <= before.balance);
        }
    }
}

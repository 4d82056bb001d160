//! Tests of the ledger: named cases here, the exploration against a plain model in `explored`.

mod explored;

use super::*;

/// A subscription as the store keeps it: one account per change, the past loaded only where it is asked for.
#[derive(Debug, Clone, Default)]
struct Book {
    subscription: Subscription,
    entries: Vec<Entry>,
    /// How often the past had to be read.
    reads: usize,
}

impl Book {
    fn apply(&mut self, change: Change, written_at: i64) -> Result<(), LedgerError> {
        let mut account = Account::new(self.subscription.clone(), TemplateKind::OneTime);
        if account.needs_past(&change) {
            assert_eq!(account.apply(change, written_at, None), Err(LedgerError::NeedsPast));
            assert_eq!((account.subscription(), account.new_entries()), (&self.subscription, &[][..]));
            account.load_past(self.entries.clone());
            self.reads += 1;
        }
        account.apply(change, written_at, None)?;
        let (subscription, new) = account.into_parts();
        self.subscription = subscription;
        self.entries.extend(new);
        self.check();
        Ok(())
    }

    /// I8.
    fn check(&self) {
        let mut balance = 0;
        for entry in &self.entries {
            balance += entry.delta;
            assert_eq!(entry.balance, balance);
            assert!(balance >= 0, "{:?}", self.entries);
        }
        assert_eq!(self.subscription.balance, balance);
        assert!(self.subscription.found_open >= 0);
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.entries.iter().map(|entry| entry.kind.as_str()).collect()
    }
}

/// Applies changes one after the other, written at 1,000 s, 1,001 s, …
fn book(changes: &[Change]) -> Book {
    let mut book = Book::default();
    for (written_at, change) in (1_000_000..).step_by(1000).zip(changes) {
        book.apply(*change, written_at).unwrap();
    }
    book
}

const fn grant(second: i64) -> Change {
    Change::Grant { at: second * 1000 }
}
const fn reject(second: i64) -> Change {
    Change::ChangeReject { at: second * 1000 }
}
/// Received within the second after the act.
const fn report(second: i64) -> Change {
    Change::Report { at: second * 1000 + 500 }
}
const fn accepted(second: i64) -> Change {
    Change::Accepted { attempt_at: second * 1000 + 500 }
}
const fn refused(second: i64) -> Change {
    Change::Refused43101 { attempt_at: second * 1000 + 500 }
}

#[test]
fn a_grant_is_spent_once() {
    let book = book(&[grant(10), grant(11), accepted(20)]);
    assert_eq!((book.subscription.balance, book.subscription.known), (1, true));
    assert_eq!(book.kinds(), ["grant", "grant", "spend"]);
    assert_eq!(available(1, 0), 1);
    assert_eq!(available(1, 3), 0);
}

#[test]
fn a_refusal_takes_what_was_won_before_it() {
    let book = book(&[grant(10), grant(30), reject(20)]);
    assert_eq!(book.subscription.balance, 1);
    assert_eq!((book.subscription.status, book.subscription.status_at), (Status::Accept, 30_000));
    let zeroed = book.entries.last().unwrap();
    assert_eq!((zeroed.delta, zeroed.act_at, zeroed.reason), (-1, 20_000, Reason::ChangeReject));
}

#[test]
fn a_grant_that_comes_after_its_refusal_is_written_and_taken() {
    let book = book(&[reject(20), grant(10), grant(20), grant(21)]);
    assert_eq!(book.subscription.balance, 1);
    assert_eq!(book.kinds(), ["grant", "zeroed", "grant", "zeroed", "grant"]);
    assert_eq!(book.entries[1].reason, Reason::LateGrantAfterRefusal);
    assert_eq!(book.entries[1].act_at, 20_000);
}

#[test]
fn a_popup_reject_takes_nothing() {
    let book = book(&[grant(10), Change::PopupReject { at: 20_000 }, Change::PopupReject { at: 5_000 }]);
    assert_eq!((book.subscription.balance, book.subscription.status), (1, Status::Reject));
    assert_eq!(book.subscription.status_at, 20_000);
}

#[test]
fn a_send_at_zero_finds_a_grant_and_its_late_event_explains_it() {
    let mut book = book(&[accepted(20)]);
    assert_eq!((book.subscription.balance, book.subscription.found_open), (0, 1));
    assert!(!book.subscription.known, "there may be more that we have not seen");
    book.apply(grant(30), 1_100_000).unwrap();
    assert_eq!((book.subscription.balance, book.subscription.found_open), (1, 1), "won after that send");
    book.apply(grant(10), 1_200_000).unwrap();
    assert_eq!((book.subscription.balance, book.subscription.found_open), (1, 0));
    assert_eq!(book.kinds(), ["found", "spend", "grant", "grant", "found"]);
    assert_eq!(book.entries[4].reason, Reason::FoundCancelled);
    book.apply(grant(11), 1_300_000).unwrap();
    assert_eq!(book.subscription.balance, 2);
}

#[test]
fn a_grant_that_a_refusal_took_explains_no_later_send() {
    let book = book(&[reject(15), accepted(20), grant(10)]);
    assert_eq!((book.subscription.balance, book.subscription.found_open), (0, 1));
    // A send before the refusal it does explain.
    let book = self::book(&[reject(25), accepted(20), grant(10)]);
    assert_eq!((book.subscription.balance, book.subscription.found_open), (0, 0));
}

#[test]
fn a_43101_takes_what_was_won_before_the_attempt() {
    let book = book(&[grant(10), grant(20), grant(21), refused(20)]);
    assert_eq!((book.subscription.balance, book.subscription.known), (1, true));
    assert_eq!(book.subscription.status, Status::Accept);
    // Also a known zero needs no entry.
    let book = self::book(&[refused(20)]);
    assert_eq!((book.entries.len(), book.subscription.known), (0, true));
}

#[test]
fn what_43101_took_is_not_counted_as_left_by_an_older_refusal() {
    // The grant of 30 is dead; that of 10 came late and goes with the refusal of 20.
    let book = book(&[grant(30), refused(30), grant(10), reject(20)]);
    assert_eq!(book.subscription.balance, 0);
}

#[test]
fn imports_are_unverified_until_wechat_speaks() {
    let mut book = book(&[Change::Import { count: 3 }]);
    assert_eq!((book.subscription.balance, book.subscription.known), (3, false));
    book.apply(grant(2000), 2_000_000).unwrap();
    assert!(!book.subscription.known);
    book.apply(refused(3000), 3_000_000).unwrap();
    assert_eq!((book.subscription.balance, book.subscription.known), (0, true));
    let book = self::book(&[Change::Import { count: 0 }]);
    assert_eq!((book.entries.len(), book.subscription.known), (0, false));
}

#[test]
fn one_act_counts_once_however_often_it_is_told() {
    for story in [[report(10), grant(10)], [grant(10), report(10)]] {
        let book = book(&story);
        assert_eq!(book.subscription.balance, 1, "{story:?}");
        assert!(book.entries.iter().any(|entry| entry.reason == Reason::ReportConfirmed));
    }
    // Two acts within two minutes; the event of the first comes last.
    let mut book = book(&[report(10), report(12), grant(12), grant(10)]);
    assert_eq!(book.subscription.balance, 2);
    // Nothing is left to pair with; three minutes later it is another act anyway.
    book.apply(grant(14), 1).unwrap();
    book.apply(report(194), 1).unwrap();
    assert_eq!(book.subscription.balance, 4);
}

#[test]
fn the_event_of_a_report_that_was_spent_adds_nothing() {
    let book = book(&[report(10), accepted(11), grant(20), grant(10)]);
    // 20 is nearer than two minutes and takes the report's place; 10 is then the second act.
    assert_eq!((book.subscription.balance, book.subscription.found_open), (1, 0));
    let book = self::book(&[report(10), refused(11), grant(10)]);
    assert_eq!(book.subscription.balance, 0);
    // The report was later than a refusal, its event was not.
    let book = self::book(&[report(20), reject(15), grant(10)]);
    assert_eq!(book.subscription.balance, 0);
}

#[test]
fn accepts_far_apart_need_no_past() {
    let book = book(&[grant(10), grant(131), report(252), grant(373)]);
    assert_eq!((book.subscription.balance, book.reads), (4, 0));
}

#[test]
fn an_adjustment_takes_at_most_what_is_there() {
    let mut book = book(&[grant(10), Change::Adjust { delta: 2 }, Change::Adjust { delta: -5 }]);
    assert_eq!((book.subscription.balance, book.entries[2].delta), (0, -3));
    for delta in [-1, 0, i64::MIN] {
        assert_eq!(book.apply(Change::Adjust { delta }, 1), Err(LedgerError::NothingToAdjust));
    }
    book.apply(Change::Adjust { delta: i64::MAX }, 1).unwrap();
    book.apply(grant(11), 1).unwrap();
    assert_eq!(book.subscription.balance, i64::MAX);
}

#[test]
fn a_long_term_template_has_only_a_status() {
    let mut account = Account::new(Subscription::default(), TemplateKind::LongTerm);
    for change in [grant(10), report(11), accepted(20), refused(30), reject(5)] {
        assert!(!account.needs_past(&change));
        account.apply(change, 1, None).unwrap();
    }
    assert_eq!(account.apply(Change::Import { count: 1 }, 1, None), Err(LedgerError::NothingToCount));
    let (subscription, entries) = account.into_parts();
    let expected = Subscription { status: Status::Accept, status_at: 10_000, ..Default::default() };
    assert_eq!((subscription, entries.len()), (expected, 0));
}

#[test]
fn entries_carry_their_evidence() {
    let message = uuid::Uuid::from_u128(7);
    let mut account = Account::new(Subscription::default(), TemplateKind::OneTime);
    account.apply(accepted(20), 21_000, Some(message)).unwrap();
    for entry in account.new_entries() {
        assert_eq!((entry.act_at, entry.written_at, entry.reference), (20_500, 21_000, Some(message)));
        assert_eq!(entry.reason, Reason::Send);
    }
}

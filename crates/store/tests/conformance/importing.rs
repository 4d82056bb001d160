//! Grants from a team's own table count once, whatever else tells of the same act (I8).

use domain::ledger::EntryKind;
use domain::message::Outcome;
use store::hot::apply::ActKind;
use store::imports::{Imported, ImportedGrant};
use uuid::Uuid;

use crate::bed::{Bed, START, T, act, openid};

const SECOND: i64 = 1_000;

fn row(bed: &Bed, n: usize, at: Option<i64>) -> ImportedGrant {
    let reference = Uuid::from_u128(n as u128 * 1_000_000 + at.unwrap_or(0) as u128);
    ImportedGrant {
        openid: openid(n),
        template: bed.template,
        count: 1,
        accepted_at: at,
        reference,
        note: format!("tbl_wechat_sub.csv #{n}"),
    }
}

async fn import(bed: &Bed, rows: Vec<ImportedGrant>, apply: bool) -> Vec<Imported> {
    bed.store.import_grants(rows, ("cli:test".into(), bed.now()), apply).await.unwrap()
}

pub(crate) async fn a_row_counts_once(bed: &Bed) {
    use Imported::{Counted, Gone, New};
    let then = START - 3_600 * SECOND;
    let many = || (0..100).map(|n| row(bed, n, Some(then + n as i64 * SECOND))).collect::<Vec<_>>();
    assert_eq!(import(bed, many(), false).await, vec![New; 100]);
    assert_eq!(bed.balance(&openid(1)).await, 0, "a rehearsal writes nothing");
    assert_eq!(import(bed, many(), true).await, vec![New; 100]);
    assert_eq!(import(bed, many(), true).await, vec![Counted; 100]);
    assert_eq!(import(bed, many(), false).await, vec![Counted; 100]);
    let (account, _) = bed.subscription(&openid(1)).await;
    assert_eq!((account.balance, account.known), (1, false));
    let entries = bed.store.ledger_of(1, &openid(1), T).await.unwrap();
    assert_eq!((entries.len(), entries[0].entry.kind), (1, EntryKind::Import));
    assert_eq!(entries[0].note.as_deref(), Some("tbl_wechat_sub.csv #1"));
    assert_eq!(entries[0].author.as_deref(), Some("cli:test"));
    assert!(entries[0].entry.reference.is_some());
    // Twice in one file; another accept of the same person.
    let twice =
        vec![row(bed, 200, Some(then)), row(bed, 200, Some(then)), row(bed, 200, Some(then + SECOND))];
    assert_eq!(import(bed, twice, true).await, [New, Counted, New]);
    // Without a time, a person's row is taken for one and the same.
    assert_eq!(import(bed, vec![row(bed, 300, None)], true).await, [New]);
    assert_eq!(import(bed, vec![row(bed, 300, None)], true).await, [Counted]);

    // Hongyan saw the event itself.
    let seen = openid(400);
    bed.event(&seen, vec![act(T, ActKind::Grant { at: then })]).await;
    assert_eq!(import(bed, vec![row(bed, 400, Some(then + 999))], true).await, [Counted]);
    assert_eq!(bed.balance(&seen).await, 1);
    // Refused since; nothing left since; proven by a send since.
    bed.event(&openid(500), vec![act(T, ActKind::ChangeReject { at: then + SECOND })]).await;
    assert_eq!(import(bed, vec![row(bed, 500, Some(then))], true).await, [Gone]);
    bed.grant(&openid(600), 1).await;
    bed.sent(&openid(600), Outcome::Refused).await;
    assert_eq!(import(bed, vec![row(bed, 600, Some(then))], true).await, [Gone]);
    bed.sent(&openid(700), Outcome::Accepted { msgid: None }).await;
    assert_eq!(import(bed, vec![row(bed, 700, Some(then))], true).await, [Counted]);
    assert_eq!(bed.balance(&openid(700)).await, 0);
}

//! What the console keeps: operators, their sessions, the code of a fresh installation, deeds, counts.

use domain::clock::{DAY, HOUR, MINUTE};
use domain::message::Outcome;
use secrecy::ExposeSecret;
use store::audit::Deed;
use store::happened::{OF_APP, What};
use store::hot::append::{InboxKind, Verdict};
use store::hot::apply::ActKind;
use store::operators::StoredOperator;

use crate::bed::{ACCEPTED, APP, Bed, START, T, act};
use crate::rare;

fn operator(name: &str) -> StoredOperator {
    StoredOperator {
        number: 0,
        name: name.into(),
        password: "$argon2id$…".into(),
        roles: r#"{"*":"admin"}"#.into(),
        created_by: "test".into(),
        created_at: START,
        signed_in_at: None,
    }
}

pub(crate) async fn the_first_operator_is_one(bed: &Bed) {
    let code = |fresh: &str| bed.store.setup_code(fresh.to_owned().into());
    assert_eq!(code("AAAA").await.unwrap().expose_secret(), "AAAA");
    assert_eq!(code("BBBB").await.unwrap().expose_secret(), "AAAA", "the one that stands");
    let (a, b) = tokio::join!(
        bed.store.insert_first_operator(operator("a")),
        bed.store.insert_first_operator(operator("b"))
    );
    assert_eq!(a.unwrap().is_some() as u8 + b.unwrap().is_some() as u8, 1);
    assert!(bed.store.has_operators().await.unwrap());
    assert_eq!(code("CCCC").await.unwrap().expose_secret(), "CCCC", "the used one is gone");
    assert!(bed.store.insert_operator(operator("c")).await.unwrap().is_some());
    assert_eq!(bed.store.insert_operator(operator("c")).await.unwrap(), None, "a name is given once");
}

pub(crate) async fn sessions_end(bed: &Bed) {
    let number = bed.store.insert_operator(operator("王")).await.unwrap().unwrap();
    let open = |digest: u8, at| bed.store.open_session([digest; 32], number, at, at + DAY);
    let of = |digest: u8, at| bed.store.session([digest; 32], at, HOUR);
    open(1, START).await.unwrap();
    assert_eq!(of(1, START + MINUTE).await.unwrap().unwrap().name, "王");
    assert!(of(2, START).await.unwrap().is_none(), "nobody's");
    // Each look within the hour keeps it; a look after it does not.
    for minutes in [50, 100, 150] {
        assert!(of(1, START + minutes * MINUTE).await.unwrap().is_some(), "{minutes}");
    }
    assert!(of(1, START + 211 * MINUTE).await.unwrap().is_none(), "not used for an hour");
    open(2, START).await.unwrap();
    assert!(of(2, START + DAY).await.unwrap().is_none(), "over after a day whatever happens");
    open(3, START).await.unwrap();
    bed.store.change_operator(number, None, Some("{}".into())).await.unwrap();
    assert!(of(3, START).await.unwrap().is_none(), "other roles");
    open(4, START).await.unwrap();
    bed.store.close_session([4; 32]).await.unwrap();
    assert!(of(4, START).await.unwrap().is_none(), "signed out");
    open(5, START).await.unwrap();
    bed.store.remove_operator(number).await.unwrap();
    assert!(of(5, START).await.unwrap().is_none(), "removed");
    assert!(bed.store.operators().await.unwrap().is_empty());
}

pub(crate) async fn deeds_are_read_in_pages_and_forgotten(bed: &Bed) {
    for at in 0..10 {
        let app = (at % 2 == 0).then_some(APP);
        let act = format!("POST {at}");
        let deed = Deed {
            number: 0,
            at: START + at,
            principal: "key:1 x".into(),
            app,
            act,
            target: Some("t".into()),
        };
        bed.store.note_deed(deed).await.unwrap();
    }
    let acts = |deeds: Vec<Deed>| deeds.into_iter().map(|deed| deed.act).collect::<Vec<_>>();
    let first = bed.store.deeds(None, None, 4).await.unwrap();
    let before = first.last().unwrap().number;
    assert_eq!(acts(first), ["POST 9", "POST 8", "POST 7", "POST 6"]);
    assert_eq!(acts(bed.store.deeds(None, Some(before), 2).await.unwrap()), ["POST 5", "POST 4"]);
    assert_eq!(acts(bed.store.deeds(Some(APP), None, 2).await.unwrap()), ["POST 8", "POST 6"]);
    assert_eq!(bed.store.forget_deeds(START + 5, 3).await.unwrap(), 3, "a few at a time");
    assert_eq!(bed.store.forget_deeds(START + 5, 100).await.unwrap(), 2);
    assert_eq!(bed.store.deeds(None, None, 100).await.unwrap().len(), 5);
}

/// What was counted of the app, with the template or of the app itself.
async fn counted(bed: &Bed, what: What) -> i64 {
    let all = bed.store.happened(APP, START - DAY, START + DAY).await.unwrap();
    all.iter().filter(|count| count.what == what).map(|count| count.n).sum()
}

pub(crate) async fn what_happens_is_counted(bed: &Bed) {
    bed.store.insert_app(rare::app("wx1", None), START).await.unwrap();
    bed.event("o1", vec![act(T, ActKind::Grant { at: START })]).await;
    bed.event("o2", vec![act(T, ActKind::PopupReject { at: START })]).await;
    assert_eq!((counted(bed, What::Accept).await, counted(bed, What::Reject).await), (1, 1));
    for (openid, outcome) in [("o1", ACCEPTED), ("o2", Outcome::Refused), ("o3", Outcome::Failed)] {
        bed.sent(openid, outcome).await;
    }
    for (what, n) in [(What::Sent, 1), (What::Refused, 1), (What::Failed, 1), (What::Delivered, 0)] {
        assert_eq!(counted(bed, what).await, n, "{what}");
    }
    // Applied ones are counted when they are applied, set-aside ones when they come.
    let mut aside = bed.row(InboxKind::Popup, "o4", START, "late");
    aside.verdict = Some(Verdict::Quarantined);
    bed.store.append(vec![aside]).await.unwrap();
    assert_eq!(counted(bed, What::CallbackQuarantined).await, 1);
    assert_eq!(counted(bed, What::CallbackApplied).await, 2);
    assert_eq!(bed.store.last_callback(APP).await.unwrap(), Some(bed.now()));
    let of_app = bed.store.happened(APP, START - DAY, START + DAY).await.unwrap();
    assert!(
        of_app
            .iter()
            .filter(|count| count.template == OF_APP)
            .all(|count| count.what >= What::CallbackApplied)
    );
    assert!(bed.store.happened(APP, START + HOUR, START + DAY).await.unwrap().is_empty());
    assert!(bed.store.happened(APP + 1, START - DAY, START + DAY).await.unwrap().is_empty());

    let signs = bed.store.signs(START - HOUR, "2027-01-15").await.unwrap().remove(&APP).unwrap();
    assert_eq!((signs.templates, signs.templates_changed, signs.gate_closed), (1, 0, false));
    assert_eq!(signs.happened[&What::Sent], 1);
    assert_eq!(signs.last_callback, Some(bed.now()));
    assert!(bed.store.template(APP, T).await.unwrap().is_some());
}

//! Another master key: everything opens with it afterwards and nothing with the one before, and a change that breaks off is ended by
//! giving it again (I12).

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection, SqliteConnection};
use store::hot::append::{InboxKind, NewInboxRow};
use store::nodes::Node;
use store::people::Person;
use store::rekey::{RekeyError, Rekeyed};
use store::relay::Pushed;
use store::tokens::Forced;
use store::webhooks::Webhook;
use store::{MasterKey, OpenError, OpenOptions, Role, Store};

use crate::bed::{Bed, START, openid};
use crate::rare::{SECRETS, app};

const PHONE: &str = "13800138000";

async fn open(bed: &Bed, master: MasterKey) -> Result<Store, OpenError> {
    let options = OpenOptions::new(bed.url.clone(), master, Role::Guest);
    Store::open(options, bed.clock.clone(), bed.entropy.clone()).await
}

fn person(n: usize, phone: &str) -> Person {
    Person {
        openid: openid(n),
        external_id: Some(format!("EXT-{n}")),
        unionid: None,
        tags: vec!["业主".into()],
        attributes: [("room".to_owned(), "3-1201".into())].into_iter().collect(),
        sensitive: [("phone".to_owned(), phone.into())].into_iter().collect(),
        keys: ["phone".to_owned(), "room".to_owned()].into(),
        created_at: START,
        updated_at: START,
    }
}

fn webhook() -> Webhook {
    Webhook {
        number: 0,
        id: uuid::Uuid::from_u128(3),
        app: None,
        url: "https://example.com/".into(),
        form: "standard".into(),
        sealed_url: Some("https://example.com/secret-robot".to_owned().into()),
        events: vec!["*".into()],
        note: None,
        secret: "whsec_x".to_owned().into(),
        previous: Some(("whsec_before".to_owned().into(), START + 1)),
        enabled: true,
        disabled_because: None,
        failing_since: None,
        created_by: "test".into(),
        created_at: START,
    }
}

/// One of everything that is sealed; gives the app's number and the relayed row.
async fn fill(bed: &Bed) -> (i64, NewInboxRow) {
    let store = &bed.store;
    store.insert_app(app("wx1", None), START).await.unwrap();
    let mut change = app("wx1", None);
    change.callback_token = Some("another-token".to_owned().into());
    change.retire_keys = Some(START + 100);
    change.token_source = Some(Some("https://token.example.com/".to_owned().into()));
    store.update_app(change, START).await.unwrap();
    let number = store.apps().await.unwrap()[0].number;
    let token = SecretString::from("access-token");
    assert!(store.swap_token(number, 0, &token, START, START + 7_200_000, Forced::default()).await.unwrap());
    store.put_webhook(webhook()).await.unwrap();
    store.put_people(number, (0..1_200).map(|n| person(n, PHONE)).collect()).await.unwrap();
    store.ask_erasure(number, &openid(5), "sensitive".into(), START).await.unwrap();
    store.setup_code("code".to_owned().into()).await.unwrap();
    let pushed = Pushed { query: "nonce=1".into(), content_type: None, body: b"<xml/>".to_vec() };
    let row = bed.row(InboxKind::Event, &openid(1), START, "relayed");
    let relay = Some(store.seal_relay(row.id, &pushed));
    let row = NewInboxRow { app: number, relay, ..row };
    store.append(vec![row.clone()]).await.unwrap();
    (number, row)
}

async fn check(store: &Store, number: i64, row: &NewInboxRow) {
    let stored = store.apps().await.unwrap().remove(0);
    assert_eq!(stored.secret.expose_secret(), SECRETS[0]);
    assert_eq!(stored.callback_token.expose_secret(), "another-token");
    assert_eq!(stored.aes_key.unwrap().expose_secret(), SECRETS[2]);
    assert_eq!(stored.token_source.unwrap().expose_secret(), "https://token.example.com/");
    assert_eq!(stored.previous_keys[0].callback_token.expose_secret(), SECRETS[1]);
    assert_eq!(stored.previous_keys[0].aes_key.as_ref().unwrap().expose_secret(), SECRETS[2]);
    assert_eq!(store.token(number).await.unwrap().unwrap().token.expose_secret(), "access-token");
    let hook = store.webhooks().await.unwrap().remove(0);
    assert_eq!(hook.secret.expose_secret(), "whsec_x");
    assert_eq!(hook.previous.unwrap().0.expose_secret(), "whsec_before");
    assert_eq!(hook.sealed_url.unwrap().expose_secret(), "https://example.com/secret-robot");
    let erasures = store.erasures_due(START + 1, 10).await.unwrap();
    assert_eq!(
        erasures.iter().map(|one| one.openid.expose_secret().to_owned()).collect::<Vec<_>>(),
        [openid(5)]
    );
    let due = store.relay_due(number, START + 1, 10).await.unwrap();
    assert_eq!((due[0].id, due[0].pushed.as_ref().unwrap().body.as_slice()), (row.id, b"<xml/>".as_slice()));
    for n in [0, 499, 500, 1_199] {
        assert_eq!(store.person(number, &openid(n)).await.unwrap().unwrap(), person(n, PHONE));
    }
    let found = store.resolve_people(number, "phone", true, &[PHONE.to_owned()]).await.unwrap();
    assert_eq!(found[PHONE].len(), 1_200, "found by the new hash, and by no hash twice");
    let found = store.resolve_people(number, "external_id", false, &["EXT-7".to_owned()]).await.unwrap();
    assert_eq!(found["EXT-7"], [openid(7)]);
}

/// Of the former key nothing is left in the file, whatever column it stood in.
async fn nothing_is_left(bed: &Bed) {
    if store::store::is_postgres(&bed.url) {
        return;
    }
    raw(bed, "vacuum").await;
    raw(bed, "pragma wal_checkpoint(truncate)").await;
    let file = std::fs::read(bed.store.path()).unwrap();
    let id = hex::decode(bed.master.id()).unwrap();
    let (sealed, written) = ([[1].as_slice(), &id].concat(), hex::encode([[1].as_slice(), &id].concat()));
    for left in [sealed.as_slice(), written.as_bytes()] {
        assert!(
            !file.windows(left.len()).any(|window| window == left),
            "something is sealed with the former key"
        );
    }
}

async fn raw(bed: &Bed, statement: &'static str) {
    if store::store::is_postgres(&bed.url) {
        let mut db = PgConnection::connect(&bed.url).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut db).await.unwrap();
    } else {
        let mut db = SqliteConnection::connect(&bed.url).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut db).await.unwrap();
    }
}

pub(crate) async fn all_that_is_sealed_is_sealed_with_the_new_key(bed: &Bed) {
    let (number, row) = fill(bed).await;
    let [next, other] = [(); 2].map(|()| MasterKey::generate(&*bed.entropy).0);
    let wrong = open(bed, next.clone().in_place_of(other)).await;
    assert!(matches!(wrong, Err(OpenError::WrongMasterKey { .. })), "the former key is another one");
    let store = open(bed, next.clone().in_place_of(bed.master.clone())).await.unwrap();
    // Two of the app of before, two of the keys it had, its source, its token; three of the webhook; relay and erasure.
    assert_eq!(store.change_master_key().await.unwrap(), Rekeyed { secrets: 12, people: 1_200 });
    store.close().await;

    let before = open(bed, bed.master.clone()).await;
    assert!(matches!(before, Err(OpenError::WrongMasterKey { .. })), "the former key opens nothing any more");
    let store = open(bed, next.clone()).await.unwrap();
    check(&store, number, &row).await;
    nothing_is_left(bed).await;
    let code = store.setup_code("fresh".to_owned().into()).await.unwrap();
    assert_eq!(code.expose_secret(), "fresh");
    store.close().await;

    // Given once more by somebody who did not see it end.
    let store = open(bed, next.clone().in_place_of(bed.master.clone())).await.unwrap();
    assert_eq!(store.change_master_key().await.unwrap().secrets, 0);
    check(&store, number, &row).await;
    store.close().await;
    open(bed, next).await.unwrap().close().await;
}

pub(crate) async fn what_broke_off_is_ended_and_nobody_serves_it_before(bed: &Bed) {
    let (number, row) = fill(bed).await;
    let [next, other] = [(); 2].map(|()| MasterKey::generate(&*bed.entropy).0);
    raw(bed, "update webhook set secret = (select token from access_token)").await;
    let store = open(bed, next.clone().in_place_of(bed.master.clone())).await.unwrap();
    let broken = store.change_master_key().await;
    assert!(matches!(broken, Err(RekeyError::Store(store::StoreError::Sealed(_)))), "{broken:?}");
    for master in [bed.master.clone(), next.clone(), other.clone().in_place_of(bed.master.clone())] {
        let refused = open(bed, master).await;
        assert!(matches!(refused, Err(OpenError::ChangingMasterKey { .. })), "{refused:?}");
    }
    store.put_webhook(webhook()).await.unwrap();
    store.close().await;
    let store = open(bed, next.clone().in_place_of(bed.master.clone())).await.unwrap();
    assert_eq!(store.change_master_key().await.unwrap().people, 1_200);
    store.close().await;
    let store = open(bed, next).await.unwrap();
    check(&store, number, &row).await;
    store.close().await;
}

pub(crate) async fn nothing_is_changed_while_nodes_run(bed: &Bed) {
    let node = Node {
        id: "n1".into(),
        name: "east".into(),
        role: "all".into(),
        version: "1".into(),
        started_at: START,
        seen_at: START,
        leaving: false,
    };
    bed.store.seen(&node, true).await.unwrap();
    let (next, _) = MasterKey::generate(&*bed.entropy);
    let store = open(bed, next.in_place_of(bed.master.clone())).await.unwrap();
    let refused = store.change_master_key().await;
    if store.is_shared() {
        assert!(matches!(&refused, Err(RekeyError::Served(names)) if names == "east"), "{refused:?}");
        bed.store.forget_nodes(Some("n1"), 0).await.unwrap();
        open(bed, bed.master.clone()).await.expect("all is as before").close().await;
    }
    store.close().await;
}

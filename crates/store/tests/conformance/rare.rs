//! What is written rarely: apps, keys, tokens, gates, templates, lanes.

use domain::ledger::TemplateKind;
use secrecy::{ExposeSecret, SecretString};
use store::StoreError;
use store::apps::AppInput;
use store::gates::Gate;
use store::templates::SyncedTemplate;
use store::tokens::Forced;

use crate::bed::{APP, Bed, START, T};

pub(crate) const SECRETS: [&str; 3] =
    ["app-secret-0123456789", "callback-token-abcdef", "encoding-aes-key-ghijkl"];

pub(crate) fn app(app_id: &str, alias: Option<&str>) -> AppInput {
    let [secret, token, key] = SECRETS.map(|secret| Some(SecretString::from(secret)));
    AppInput {
        app_id: app_id.into(),
        name: "物业".into(),
        secret,
        callback_token: token,
        aes_key: key,
        callback_mode: "safe".into(),
        callback_format: "json".into(),
        api_base_url: "https://api.weixin.qq.com".into(),
        alias: alias.map(Into::into),
        settings: "{}".into(),
        ..AppInput::default()
    }
}

pub(crate) async fn an_app_keeps_its_secrets(bed: &Bed) {
    bed.store.insert_app(app("wx1", Some("one")), START).await.unwrap();
    let change =
        AppInput {
            secret: None, callback_token: None, aes_key: None, name: "新".into(), ..app("wx1", None)
        };
    assert!(bed.store.update_app(change.clone(), START + 1).await.unwrap());
    let stored = bed.store.apps().await.unwrap().remove(0);
    assert_eq!((stored.name.as_str(), stored.alias, stored.updated_at), ("新", None, START + 1));
    assert_eq!(stored.created_at, START);
    let opened = [&stored.secret, &stored.callback_token, stored.aes_key.as_ref().unwrap()];
    assert_eq!(opened.map(|secret| secret.expose_secret().to_owned()), SECRETS);
    let change = AppInput { callback_token: Some("another-token".into()), ..change };
    bed.store.update_app(change, START + 2).await.unwrap();
    let stored = bed.store.apps().await.unwrap().remove(0);
    assert_eq!(stored.callback_token.expose_secret(), "another-token");
    assert_eq!(stored.secret.expose_secret(), SECRETS[0]);
    bed.store.learn_original_id(stored.number, "gh_1".into()).await.unwrap();
    bed.store.learn_original_id(stored.number, "gh_2".into()).await.unwrap();
    assert_eq!(bed.store.apps().await.unwrap()[0].original_id.as_deref(), Some("gh_1"));
    assert!(!bed.store.update_app(app("wx9", None), START).await.unwrap(), "there is none such");
}

pub(crate) async fn replaced_keys_stay_for_a_while(bed: &Bed) {
    bed.store.insert_app(app("wx1", None), START).await.unwrap();
    bed.store.insert_app(app("wx2", None), START).await.unwrap();
    let change = |token: &str, until| AppInput {
        secret: None,
        callback_token: Some(SecretString::from(token)),
        aes_key: None,
        callback_mode: "plain".into(),
        retire_keys: until,
        ..app("wx1", None)
    };
    let previous = async || {
        let apps = bed.store.apps().await.unwrap();
        assert!(apps[1].previous_keys.is_empty(), "another app's keys");
        let keys = apps[0].previous_keys.iter();
        keys.map(|k| (k.callback_token.expose_secret().to_owned(), k.callback_mode.clone(), k.expires_at))
            .collect::<Vec<_>>()
    };
    bed.store.update_app(change("second", Some(START + 100)), START).await.unwrap();
    assert_eq!(previous().await, [(SECRETS[1].to_owned(), "safe".to_owned(), START + 100)]);
    let aes_key = bed.store.apps().await.unwrap()[0].previous_keys[0].aes_key.clone();
    assert_eq!(aes_key.unwrap().expose_secret(), SECRETS[2]);
    bed.store.update_app(change("third", Some(START + 200)), START + 1).await.unwrap();
    let tokens = async || previous().await.into_iter().map(|(token, ..)| token).collect::<Vec<_>>();
    assert_eq!(tokens().await, ["second", SECRETS[1]], "the longest valid first");
    bed.store.end_previous_keys(START + 100).await.unwrap();
    assert_eq!(tokens().await, ["second"]);
    bed.store
        .update_app(AppInput { end_previous_keys: true, ..change("third", None) }, START + 2)
        .await
        .unwrap();
    assert!(tokens().await.is_empty());
    for n in 0..8 {
        bed.store.update_app(change(&format!("token{n}"), Some(START + 300 + n)), START + 3).await.unwrap();
    }
    assert_eq!(tokens().await, ["token6", "token5", "token4", "token3"], "no more than four");
    bed.store.remove_app("wx1".into()).await.unwrap();
    bed.store.insert_app(app("wx1", None), START).await.unwrap();
    assert!(tokens().await.is_empty());
}

pub(crate) async fn names_of_apps_are_unique(bed: &Bed) {
    bed.store.insert_app(app("wx1", Some("one")), START).await.unwrap();
    bed.store.insert_app(app("wx2", None), START).await.unwrap();
    bed.store.insert_app(app("wx3", None), START).await.unwrap();
    let exists = |error| matches!(error, StoreError::Exists(what) if what == "app_id");
    assert!(exists(bed.store.insert_app(app("wx1", None), START).await.unwrap_err()));
    let exists = |error| matches!(error, StoreError::Exists(what) if what == "alias");
    assert!(exists(bed.store.insert_app(app("wx4", Some("one")), START).await.unwrap_err()));
    assert!(exists(bed.store.update_app(app("wx2", Some("one")), START).await.unwrap_err()));
    assert_eq!(bed.store.apps().await.unwrap().len(), 3);
}

pub(crate) async fn a_removed_app_leaves_its_number_unused(bed: &Bed) {
    bed.store.insert_app(app("wx1", None), START).await.unwrap();
    let number = bed.store.apps().await.unwrap()[0].number;
    let token = SecretString::from("t");
    assert!(bed.store.swap_token(number, 0, &token, START, START + 1, Forced::default()).await.unwrap());
    bed.store.insert_key("k".into(), [1; 32], Some(number), "send".into(), START).await.unwrap();
    bed.store.insert_key("all".into(), [2; 32], None, "send".into(), START).await.unwrap();
    bed.store.close_gate(gate(number, "quota")).await.unwrap();
    assert!(bed.store.remove_app("wx1".into()).await.unwrap());
    assert!(!bed.store.remove_app("wx1".into()).await.unwrap());
    assert!(bed.store.apps().await.unwrap().is_empty());
    assert!(bed.store.token(number).await.unwrap().is_none());
    assert!(bed.store.key_by_digest([1; 32]).await.unwrap().is_none());
    assert!(bed.store.key_by_digest([2; 32]).await.unwrap().is_some());
    assert!(bed.store.gates().await.unwrap().is_empty());
    // Its messages and ledger stay: another app under its number would see them (I16).
    bed.store.insert_app(app("wx2", None), START).await.unwrap();
    assert!(bed.store.apps().await.unwrap()[0].number > number);
}

pub(crate) async fn a_token_is_swapped_by_one(bed: &Bed) {
    assert!(bed.store.token(APP).await.unwrap().is_none());
    let swap = async |version, token: &str, forced| {
        let token = SecretString::from(token);
        bed.store.swap_token(APP, version, &token, START, START + 7_200_000, forced).await.unwrap()
    };
    assert!(!swap(3, "never", Forced::default()).await, "there is none of that version");
    assert!(swap(0, "first", Forced::default()).await);
    assert!(!swap(0, "late", Forced::default()).await);
    let version = bed.store.token(APP).await.unwrap().unwrap().version;
    let forced = Forced { at: START, day: 20_833, count: 7 };
    assert!(swap(version, "second", forced).await);
    assert!(!swap(version, "late", Forced::default()).await);
    let stored = bed.store.token(APP).await.unwrap().unwrap();
    assert_eq!((stored.token.expose_secret(), stored.forced), ("second", forced));
    assert_eq!((stored.obtained_at, stored.expires_at), (START, START + 7_200_000));
    let racing = (0..20).map(|n| async move {
        let token = SecretString::from(format!("race {n}"));
        let (store, version) = (&bed.store, stored.version);
        store.swap_token(APP, version, &token, START, START, Forced::default()).await.unwrap()
    });
    let won: Vec<_> = futures::future::join_all(racing).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let winner = won.iter().position(|won| *won).unwrap();
    assert_eq!(bed.store.token(APP).await.unwrap().unwrap().token.expose_secret(), format!("race {winner}"));
}

fn gate(app: i64, reason: &str) -> Gate {
    Gate {
        app,
        reason: reason.into(),
        errcode: 45009,
        detail: "d".into(),
        closed_at: START,
        retry_at: START + 5,
    }
}

pub(crate) async fn a_gate_closes_and_opens(bed: &Bed) {
    bed.store.close_gate(gate(2, "quota")).await.unwrap();
    bed.store.close_gate(gate(1, "quota")).await.unwrap();
    assert_eq!(bed.store.gates().await.unwrap(), [gate(1, "quota"), gate(2, "quota")]);
    let renewed = Gate { retry_at: START + 9, closed_at: START + 8, ..gate(1, "configuration") };
    bed.store.close_gate(renewed.clone()).await.unwrap();
    // It has been closed since the first time.
    assert_eq!(bed.store.gates().await.unwrap()[0], Gate { closed_at: START, ..renewed });
    bed.store.open_gate(1).await.unwrap();
    assert_eq!(bed.store.gates().await.unwrap(), [gate(2, "quota")]);
}

pub(crate) async fn a_key_is_found_by_its_digest(bed: &Bed) {
    let number =
        bed.store.insert_key("erp".into(), [1; 32], Some(APP), "send,read".into(), START).await.unwrap();
    let other = bed.store.insert_key("ops".into(), [2; 32], None, "admin".into(), START).await.unwrap();
    assert!(bed.store.insert_key("same".into(), [2; 32], None, "admin".into(), START).await.is_err());
    let key = bed.store.key_by_digest([1; 32]).await.unwrap().unwrap();
    assert_eq!((key.number, key.name.as_str(), key.app), (number, "erp", Some(APP)));
    assert_eq!((key.scopes.as_str(), key.created_at, key.revoked_at), ("send,read", START, None));
    assert!(bed.store.key_by_digest([3; 32]).await.unwrap().is_none());
    assert!(bed.store.revoke_key(number, START + 1).await.unwrap());
    assert!(!bed.store.revoke_key(number, START + 2).await.unwrap());
    assert!(!bed.store.revoke_key(99, START).await.unwrap());
    assert!(bed.store.key_by_digest([1; 32]).await.unwrap().is_none());
    let keys = bed.store.keys().await.unwrap();
    let told: Vec<_> = keys.iter().map(|key| (key.number, key.revoked_at)).collect();
    assert_eq!(told, [(number, Some(START + 1)), (other, None)]);
}

pub(crate) async fn a_sync_tells_what_is_gone(bed: &Bed) {
    let read = |template_id: &str, title: &str| SyncedTemplate {
        template_id: template_id.into(),
        title: title.into(),
        kind: TemplateKind::OneTime,
        content: "内容".into(),
        example: "例".into(),
        fields: "[1]".into(),
    };
    let number = bed.template;
    bed.store.sync_templates(APP + 1, vec![read("foreign", "f")], START).await.unwrap();
    bed.store.sync_templates(APP, vec![read(T, "乙"), read("x", "甲")], START + 10).await.unwrap();
    bed.store.sync_templates(APP, vec![read("x", "甲")], START + 20).await.unwrap();
    bed.store.sync_templates(APP, vec![read("x", "甲")], START + 30).await.unwrap();
    let gone = bed.store.template_by_number(number).await.unwrap().unwrap();
    assert_eq!(
        (gone.title.as_str(), gone.synced_at, gone.gone_at),
        ("乙", Some(START + 10), Some(START + 20))
    );
    let all = bed.store.templates(APP).await.unwrap();
    let mut titles: Vec<_> = all.iter().map(|t| (t.title.as_str(), t.gone_at.is_some())).collect();
    titles.sort();
    assert_eq!(titles, [("乙", true), ("甲", false)]);
    bed.store.sync_templates(APP, vec![read(T, "乙"), read("x", "甲")], START + 40).await.unwrap();
    assert_eq!(bed.store.template(APP, T).await.unwrap().unwrap().gone_at, None, "it is back");
    assert_eq!(bed.store.template(APP + 1, "foreign").await.unwrap().unwrap().gone_at, None);
}

pub(crate) async fn each_taking_raises_every_epoch(bed: &Bed) {
    for taking in 2..5 {
        let epochs = bed.store.take_all_lanes(format!("owner {taking}"), START).await.unwrap();
        assert!(bed.store.lanes().iter().all(|lane| epochs.of(lane) == taking));
    }
    bed.store.ping().await.unwrap();
}

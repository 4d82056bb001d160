//! What holds for every input: nothing panics, what is encrypted comes back, values are judged alike.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wechat::Lang;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::reply::{self, Encryption, Parties, Reply};
use wechat::callback::{Format, Keys, Mode, Query, event, open, signature};
use wechat::template::{Field, FieldKind, ProblemCode, check, check_value, parse_content, units};
use wechat::{errcode, token};

fn keys(seed: [u8; 32], mode: Mode) -> Keys {
    Keys { app_id: "wx1".into(), token: "tok".into(), aes_key: Some(EncodingAesKey::from_random(seed)), mode }
}

fn signed(parts: &[&str], msg_parts: &[&str]) -> Query {
    Query {
        signature: Some(signature::sign(parts)),
        msg_signature: Some(signature::sign(msg_parts)),
        timestamp: Some("1".into()),
        nonce: Some("2".into()),
        ..Query::default()
    }
}

/// Text that looks like a push often enough to reach the inner parts.
fn pushlike() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("<xml>".to_owned()),
        Just("</xml>".to_owned()),
        Just("<List>".to_owned()),
        Just("</List>".to_owned()),
        Just("<a b='".to_owned()),
        Just("<![CDATA[".to_owned()),
        Just("]]>".to_owned()),
        Just("&amp;".to_owned()),
        Just("&#x10ffff;".to_owned()),
        Just("&#0;".to_owned()),
        Just("&e;".to_owned()),
        Just("<!DOCTYPE a [".to_owned()),
        Just("<?xml version='1.0'?>".to_owned()),
        Just("\"MsgType\":\"event\"".to_owned()),
        Just("\"Event\":\"subscribe_msg_sent_event\"".to_owned()),
        Just("\"List\":".to_owned()),
        Just("\"Encrypt\":".to_owned()),
        Just("\"ErrorCode\":1e400".to_owned()),
        Just("18446744073709551616".to_owned()),
        any::<u64>().prop_map(|number| number.to_string()),
        "\\PC{0,4}",
    ];
    (prop_oneof![Just("{"), Just("<xml>"), Just("")], prop::collection::vec(token, 0..40))
        .prop_map(|(start, rest)| format!("{start}{}", rest.concat()))
}

fn any_kind() -> impl Strategy<Value = FieldKind> {
    let other = "[a-z_]{0,6}".prop_map(|word| FieldKind::from_key(&word).0);
    prop_oneof![9 => prop::sample::select(FieldKind::KNOWN.to_vec()), 1 => other]
}

/// Values near the forms of the kinds.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9年月日:~ ./\\-]{0,24}",
        "[¥元0-9.]{0,14}",
        "[一-龥]{0,25}",
        "[ -~]{0,40}",
    ]
}

proptest! {
    #[test]
    fn what_is_encrypted_comes_back(
        seed: [u8; 32],
        random: [u8; 16],
        message in prop::collection::vec(any::<u8>(), 0..600),
        app_id in "\\PC{0,40}",
    ) {
        let key = EncodingAesKey::from_random(seed);
        let back = key.decrypt(&key.encrypt(random, &message, &app_id)).unwrap();
        prop_assert_eq!(back.message, message);
        prop_assert_eq!(back.app_id, app_id);
        let again = EncodingAesKey::parse(key.expose()).unwrap();
        prop_assert_eq!(again.expose(), key.expose());
    }

    #[test]
    fn no_key_text_panics(text in any::<String>(), near in "[A-Za-z0-9+/=]{43}") {
        let _ = EncodingAesKey::parse(&text);
        let _ = EncodingAesKey::parse(&near);
    }

    #[test]
    fn no_ciphertext_panics(seed: [u8; 32], text in "[A-Za-z0-9+/]{0,200}={0,2}", blocks in 1_usize..9) {
        let key = EncodingAesKey::from_random(seed);
        let _ = key.decrypt(&text);
        let whole = "QUJD".repeat(blocks * 16);
        let _ = key.decrypt(&whole);
    }

    #[test]
    fn a_signature_does_not_depend_on_the_order(a in ".*", b in ".*", c in ".*") {
        prop_assert_eq!(signature::sign(&[&a, &b, &c]), signature::sign(&[&c, &a, &b]));
        prop_assert!(signature::matches(&[&a, &b, &c], &signature::sign(&[&b, &c, &a])));
    }

    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..300), like in pushlike()) {
        let query = signed(&["tok", "1", "2"], &["tok", "1", "2", ""]);
        for body in [body.as_slice(), like.as_bytes()] {
            let _ = event::parse(body);
            let _ = reply::read(&keys([1; 32], Mode::Plain), body);
            if let Ok(opened) = open(&[keys([1; 32], Mode::Plain)], &query, body) {
                prop_assert_eq!(opened.plaintext, body);
            }
            for mode in [Mode::Compat, Mode::Safe] {
                prop_assert!(open(&[keys([1; 32], mode)], &query, body).is_err(), "nothing passes unencrypted");
            }
        }
    }

    #[test]
    fn every_encrypted_push_opens(seed: [u8; 32], text in ".*", xml: bool) {
        let ours = keys(seed, Mode::Safe);
        let sealed = ours.aes_key.as_ref().unwrap().encrypt([b'x'; 16], text.as_bytes(), "wx1");
        let query = signed(&[], &["tok", "1", "2", &sealed]);
        let body = if xml {
            format!("<xml><ToUserName>gh</ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>")
        } else {
            serde_json::json!({"ToUserName": "gh", "Encrypt": sealed}).to_string()
        };
        prop_assert_eq!(open(&[ours], &query, body.as_bytes()).unwrap().plaintext, text.as_bytes());
    }

    #[test]
    fn every_reply_reads_back(seed: [u8; 32], user in "[^\\p{C}]{0,30}", gh in "[ -~]{0,30}", time: i64, nonce in "[^\\p{C}\\s]{1,20}", xml: bool) {
        let keys = keys(seed, Mode::Safe);
        let format = if xml { Format::Xml } else { Format::Json };
        let parties = Parties { user: &user, mini_program: &gh, create_time: time };
        let encryption = Encryption { keys: &keys, random: [b'x'; 16], timestamp: time, nonce: &nonce };
        let sealed = reply::transfer_customer_service(format, &parties, Some(&encryption)).unwrap();
        let Reply::Content { plaintext, encrypted: true, .. } = reply::read(&keys, sealed.as_bytes()).unwrap() else {
            panic!("{sealed}")
        };
        let push = event::parse(&plaintext).unwrap();
        prop_assert_eq!((push.to_user.as_str(), push.from_user.as_str()), (user.trim(), gh.trim()));
        prop_assert_eq!(push.create_time, time);
    }

    #[test]
    fn a_changed_ciphertext_never_opens(at in 0_usize..100, other in "[A-Za-z0-9+/]") {
        let ours = keys([3; 32], Mode::Safe);
        let sealed = ours.aes_key.as_ref().unwrap().encrypt([b'x'; 16], b"{\"MsgType\":\"event\"}", "wx1");
        let query = signed(&[], &["tok", "1", "2", &sealed]);
        let at = at % sealed.len();
        let changed = format!("{}{other}{}", &sealed[..at], &sealed[at + 1..]);
        prop_assume!(changed != sealed);
        let body = serde_json::json!({"Encrypt": changed}).to_string();
        prop_assert!(open(&[ours], &query, body.as_bytes()).is_err());
    }

    #[test]
    fn no_template_panics(content in any::<String>(), like in "(标签:|\\{\\{|thing|[0-9]|\\.DATA|\\}\\}|\n|：){0,40}", example in any::<String>()) {
        for content in [&content, &like] {
            let fields = parse_content(content, &example, &BTreeMap::new());
            for field in &fields {
                let key = &field.key;
                prop_assert!(!key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
                prop_assert_eq!((field.kind.clone(), field.number), FieldKind::from_key(key));
            }
            let _ = check(&fields, &BTreeMap::from([(content.clone(), example.clone())]));
        }
    }

    #[test]
    fn every_value_is_judged(kind in any_kind(), value in any_value(), listed in prop::collection::vec(any_value(), 0..3)) {
        let problems = check_value(&kind, &value, &listed);
        let has = |code| problems.iter().any(|problem| problem.code == code);
        prop_assert_eq!(has(ProblemCode::Empty), value.is_empty());
        if value.chars().any(char::is_control) {
            prop_assert!(has(ProblemCode::ControlCharacter));
        }
        if let Some(limit) = kind.limit() {
            prop_assert!(units(&value) <= limit || has(ProblemCode::TooLong));
        }
        for problem in &problems {
            if let (Some(limit), Some(length)) = (problem.limit, problem.length) {
                prop_assert!(length > limit);
            }
        }
    }

    #[test]
    fn every_message_is_judged_field_by_field(
        keys in prop::collection::btree_set("(thing|date|amount|foo)[0-9]", 0..5),
        data in prop::collection::btree_map("(thing|date|amount|foo|标签)[0-9]", any_value(), 0..6),
    ) {
        let fields: Vec<Field> = keys
            .iter()
            .flat_map(|key| parse_content(&format!("标签{key}:{{{{{key}.DATA}}}}"), "", &BTreeMap::new()))
            .collect();
        prop_assert_eq!(fields.len(), keys.len());
        let problems = check(&fields, &data);
        for key in &keys {
            let missing = problems.iter().any(|p| p.code == ProblemCode::Missing && &p.key == key);
            prop_assert_eq!(missing, !data.contains_key(key));
        }
        for key in data.keys() {
            let unknown = problems.iter().any(|p| p.code == ProblemCode::UnknownField && &p.key == key);
            prop_assert_eq!(unknown, !keys.contains(key));
        }
        let mut suggested: Vec<_> = problems.iter().filter_map(|p| p.suggestion.as_ref()).collect();
        let count = suggested.len();
        suggested.sort();
        suggested.dedup();
        prop_assert_eq!(count, suggested.len(), "no field is suggested twice");
        for problem in &problems {
            for lang in [Lang::Zh, Lang::En] {
                prop_assert!(problem.detail(lang).contains(&problem.key));
            }
        }
    }

    #[test]
    fn every_answer_is_explained(code: i64, errmsg in any::<String>(), known in prop::sample::select(errcode::catalogue().map(|e| e.code).collect::<Vec<_>>())) {
        for code in [code, known] {
            for lang in [Lang::Zh, Lang::En] {
                prop_assert!(!errcode::explain(code, &errmsg, lang).is_empty());
            }
            let _ = (errcode::class(code), errcode::token_class(code), errcode::rid(&errmsg));
        }
    }

    #[test]
    fn a_token_is_never_refreshed_late(obtained in 0_i64..4_000_000_000_000, life in 0_u64..100_000, age in 0_i64..200_000_000) {
        let life_ms = i64::try_from(life).unwrap() * 1000;
        let due = token::needs_refresh(obtained, std::time::Duration::from_secs(life), obtained + age);
        if life_ms > 300_000 {
            prop_assert_eq!(due, age >= life_ms - 300_000);
        }
        prop_assert!(due || age < life_ms);
    }
}

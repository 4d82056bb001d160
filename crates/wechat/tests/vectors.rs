//! Every published worked example of signatures and encryption.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::Value;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::signature;

fn vectors(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("crypto-vectors.json")).unwrap();
    all[name].as_array().unwrap().clone()
}

fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name].as_str().unwrap_or_else(|| panic!("{} has no {name}", vector["id"]))
}

#[test]
fn signatures() {
    let all = vectors("signature_vectors");
    assert_eq!(all.len(), 3);
    for v in &all {
        let parts = [text(v, "token"), text(v, "timestamp"), text(v, "nonce")];
        assert_eq!(signature::sign(&parts), text(v, "expected"), "{}", v["id"]);
        assert!(signature::matches(&parts, text(v, "expected")));
    }
}

#[test]
fn encryption() {
    let all = vectors("aes_vectors");
    assert_eq!(all.len(), 11);
    let mut trailing_bits = 0;
    for v in &all {
        let id = &v["id"];
        let key = EncodingAesKey::parse(text(v, "encoding_aes_key")).unwrap();
        trailing_bits += u32::from(v["key_trailing_bits"] != 0);
        let opened = key.decrypt(text(v, "encrypt")).unwrap();
        let inner = &v["decrypted"];
        assert_eq!(String::from_utf8(opened.message.clone()).unwrap(), text(inner, "msg"), "{id}");
        assert_eq!(opened.message.len() as u64, inner["msg_len"].as_u64().unwrap(), "{id}");
        assert_eq!(opened.app_id, text(inner, "appid_in_message"), "{id}");
        assert_eq!(opened.app_id, text(v, "appid"), "{id}");
        let random: [u8; 16] = text(inner, "random").as_bytes().try_into().unwrap();
        assert_eq!(key.encrypt(random, &opened.message, &opened.app_id), text(v, "encrypt"), "{id}");
    }
    assert!(trailing_bits >= 5, "the vectors cover keys with spare bits");
}

#[test]
fn message_signatures() {
    let mut with_url_signature = 0;
    for v in vectors("aes_vectors").iter().filter(|v| v.get("msg_signature").is_some()) {
        let (token, timestamp, nonce) = (text(v, "token"), text(v, "timestamp"), text(v, "nonce"));
        let signed = signature::sign(&[token, timestamp, nonce, text(v, "encrypt")]);
        assert_eq!(signed, text(v, "msg_signature"), "{}", v["id"]);
        if v.get("signature").is_some() {
            with_url_signature += 1;
            assert_eq!(signature::sign(&[token, timestamp, nonce]), text(v, "signature"), "{}", v["id"]);
        }
    }
    assert_eq!(with_url_signature, 3);
}

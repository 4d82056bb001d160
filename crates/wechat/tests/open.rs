//! Verification and decryption of pushes: every mode, every refusal.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::json;
use wechat::callback::crypto::{CryptoError, EncodingAesKey};
use wechat::callback::{
    Format, Keys, MAX_BODY_BYTES, MalformedReason, Mode, OpenError, Query, TreeError, open, signature,
};

const APP: &str = "wxba5fad812f8e6fb9";
const MESSAGE: &str = r#"{"ToUserName":"gh_1","MsgType":"event","Event":"debug_demo"}"#;

fn keys(token: &str, seed: u8, mode: Mode) -> Keys {
    let aes_key = Some(EncodingAesKey::from_random([seed; 32]));
    Keys { app_id: APP.into(), token: token.into(), aes_key, mode }
}

fn plain_query(token: &str) -> Query {
    Query {
        signature: Some(signature::sign(&[token, "1714112445", "4157"])),
        timestamp: Some("1714112445".into()),
        nonce: Some("4157".into()),
        ..Query::default()
    }
}

fn encrypted_query(token: &str, encrypt: &str) -> Query {
    Query {
        msg_signature: Some(signature::sign(&[token, "1714112445", "4157", encrypt])),
        // Wrong on purpose: wherever there is Encrypt it must not count.
        signature: Some("0".repeat(40)),
        encrypt_type: Some("aes".into()),
        ..plain_query(token)
    }
}

fn encrypt(keys: &Keys, message: &str, app_id: &str) -> String {
    keys.aes_key.as_ref().unwrap().encrypt([b'r'; 16], message.as_bytes(), app_id)
}

/// A body in the given mode and format, as WeChat would push it.
fn push(sender: &Keys, mode: Mode, format: Format) -> (Query, Vec<u8>) {
    let inner = match format {
        Format::Json => MESSAGE.to_owned(),
        Format::Xml => "<xml><MsgType>event</MsgType><Event>debug_demo</Event></xml>".to_owned(),
    };
    let token = secrecy::ExposeSecret::expose_secret(&sender.token);
    if mode == Mode::Plain {
        return (plain_query(token), inner.into_bytes());
    }
    let text = encrypt(sender, &inner, APP);
    let query = encrypted_query(token, &text);
    let body = match (mode, format) {
        (Mode::Safe, Format::Json) => json!({"ToUserName": "gh_1", "Encrypt": text}).to_string(),
        (Mode::Safe, Format::Xml) => {
            format!("<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{text}]]></Encrypt></xml>")
        }
        (_, Format::Json) => {
            json!({"MsgType": "event", "Event": "forged_in_plain", "Encrypt": text}).to_string()
        }
        (_, Format::Xml) => format!(
            "<xml><MsgType>event</MsgType><Event>forged_in_plain</Event><Encrypt>{text}</Encrypt></xml>"
        ),
    };
    (query, body.into_bytes())
}

#[test]
fn every_mode_against_every_configuration_in_both_formats() {
    for format in [Format::Json, Format::Xml] {
        for configured in [Mode::Plain, Mode::Compat, Mode::Safe] {
            for received in [Mode::Plain, Mode::Compat, Mode::Safe] {
                let ours = keys("tok", 1, configured);
                let (query, body) = push(&ours, received, format);
                let result = open(std::slice::from_ref(&ours), &query, &body);
                if received < configured {
                    assert_eq!(result.unwrap_err(), OpenError::WeakerMode, "{configured} {received}");
                    continue;
                }
                let opened = result.unwrap();
                assert_eq!(opened.received_mode, received);
                assert_eq!(opened.stronger_than_configured, received > configured);
                assert_eq!(opened.format, format);
                assert_eq!((opened.key_index, opened.timestamp), (0, Some(1_714_112_445)));
                assert_eq!(opened.app_id, APP);
                let text = String::from_utf8(opened.plaintext).unwrap();
                assert!(text.contains("debug_demo") && !text.contains("forged"), "{text}");
            }
        }
    }
}

#[test]
fn the_previous_keys_open_too() {
    let (new, old) = (keys("new", 1, Mode::Safe), keys("old", 2, Mode::Plain));
    let both = [new.clone(), old.clone()];
    for mode in [Mode::Plain, Mode::Safe] {
        let (query, body) = push(&old, mode, Format::Json);
        assert_eq!(open(&both, &query, &body).unwrap().key_index, 1);
    }
    let (query, body) = push(&new, Mode::Safe, Format::Json);
    assert_eq!(open(&both, &query, &body).unwrap().key_index, 0);
    // The same token, only the AES key or the mode changed.
    let rekeyed = [keys("old", 9, Mode::Safe), old.clone()];
    for mode in [Mode::Plain, Mode::Compat, Mode::Safe] {
        let (query, body) = push(&old, mode, Format::Xml);
        assert_eq!(open(&rekeyed, &query, &body).unwrap().key_index, 1, "{mode}");
    }
}

fn refused(keys: &Keys, query: &Query, body: &[u8]) -> (OpenError, u16) {
    let error = open(std::slice::from_ref(keys), query, body).unwrap_err();
    (error, error.http_status())
}

#[test]
fn bad_signatures_are_refused() {
    let ours = keys("tok", 1, Mode::Plain);
    for mode in [Mode::Plain, Mode::Compat, Mode::Safe] {
        let (query, body) = push(&keys("other", 1, mode), mode, Format::Json);
        assert_eq!(refused(&ours, &query, &body), (OpenError::BadSignature, 403), "{mode}");
    }
    let (query, body) = push(&ours, Mode::Safe, Format::Json);
    let moved = Query { timestamp: Some("1714112446".into()), ..query.clone() };
    assert_eq!(refused(&ours, &moved, &body), (OpenError::BadSignature, 403));
    // A right `signature` does not stand in for a `msg_signature`.
    let url_signed = plain_query("tok").signature;
    let swapped = Query { msg_signature: url_signed.clone(), signature: url_signed, ..query.clone() };
    assert_eq!(refused(&ours, &swapped, &body), (OpenError::BadSignature, 403));
    assert_eq!(open(&[], &query, &body).unwrap_err(), OpenError::BadSignature);
    // Another text under the old signature.
    let text = encrypt(&ours, "{}", APP);
    let body = json!({"Encrypt": text}).to_string();
    assert_eq!(refused(&ours, &query, body.as_bytes()), (OpenError::BadSignature, 403));
}

#[test]
fn another_app_id_is_refused() {
    let ours = keys("tok", 1, Mode::Safe);
    let text = encrypt(&ours, MESSAGE, "wx_somebody_else");
    let body = json!({"ToUserName": "gh_1", "Encrypt": text}).to_string();
    let query = encrypted_query("tok", &text);
    assert_eq!(refused(&ours, &query, body.as_bytes()), (OpenError::WrongAppId, 403));
}

#[test]
fn an_encrypted_push_without_a_key_is_refused() {
    let ours = keys("tok", 1, Mode::Safe);
    let (query, body) = push(&ours, Mode::Safe, Format::Json);
    let keyless = Keys { aes_key: None, mode: Mode::Plain, ..ours };
    assert_eq!(refused(&keyless, &query, &body), (OpenError::NoKey, 403));
}

#[test]
fn missing_parameters_are_named() {
    let ours = keys("tok", 1, Mode::Plain);
    let (plain, plain_body) = push(&ours, Mode::Plain, Format::Json);
    let (safe, safe_body) = push(&ours, Mode::Safe, Format::Json);
    let empty = Some(String::new());
    let cases = [
        (Query { signature: None, ..plain.clone() }, &plain_body, "signature"),
        (Query { signature: empty, ..plain.clone() }, &plain_body, "signature"),
        (Query { timestamp: None, ..plain.clone() }, &plain_body, "timestamp"),
        (Query { nonce: None, ..plain }, &plain_body, "nonce"),
        (Query { msg_signature: None, ..safe.clone() }, &safe_body, "msg_signature"),
        (Query { timestamp: None, ..safe.clone() }, &safe_body, "timestamp"),
        (Query { nonce: None, ..safe }, &safe_body, "nonce"),
    ];
    for (query, body, name) in cases {
        assert_eq!(refused(&ours, &query, body), (OpenError::Missing(name), 400));
    }
}

#[test]
fn what_is_neither_json_nor_xml_is_malformed() {
    let ours = keys("tok", 1, Mode::Plain);
    let cases: [(&[u8], TreeError); 11] = [
        (b"", TreeError::NeitherJsonNorXml),
        (b"hello", TreeError::NeitherJsonNorXml),
        (b"[1]", TreeError::NeitherJsonNorXml),
        (b"{\"a\":", TreeError::Json),
        (b"{} trailing", TreeError::Json),
        (b"{\"a\":\"\xff\"}", TreeError::Json),
        (b"<xml><a></xml>", TreeError::Xml),
        (b"<xml></xml><xml/>", TreeError::Xml),
        (b"<xml></xml>text", TreeError::Xml),
        (b"<xml>\xff</xml>", TreeError::Xml),
        (b"<xml>", TreeError::Xml),
    ];
    for (body, reason) in cases {
        let expected = OpenError::Malformed(MalformedReason::Tree(reason));
        assert_eq!(refused(&ours, &plain_query("tok"), body), (expected, 400), "{body:?}");
    }
}

#[test]
fn garbage_in_encrypt_is_malformed_whoever_signed_it() {
    let ours = keys("tok", 1, Mode::Safe);
    for (text, reason) in
        [("not base64!", CryptoError::NotBase64), ("", CryptoError::Length), ("YWJj", CryptoError::Length)]
    {
        for token in ["tok", "wrong"] {
            let body = json!({"Encrypt": text}).to_string();
            let expected = OpenError::Malformed(MalformedReason::Crypto(reason));
            let query = encrypted_query(token, text);
            assert_eq!(refused(&ours, &query, body.as_bytes()), (expected, 400), "{text}");
        }
    }
    let expected = OpenError::Malformed(MalformedReason::EncryptNotText);
    assert_eq!(refused(&ours, &encrypted_query("tok", ""), br#"{"Encrypt":{}}"#), (expected, 400));
}

#[test]
fn broken_insides_are_malformed_though_rightly_signed() {
    let ours = keys("tok", 1, Mode::Safe);
    // Encrypted with another key: the padding (or, by chance, the length) does not fit.
    let text = encrypt(&keys("tok", 2, Mode::Safe), MESSAGE, APP);
    let body = json!({"Encrypt": text}).to_string();
    let (error, status) = refused(&ours, &encrypted_query("tok", &text), body.as_bytes());
    assert!(matches!(error, OpenError::Malformed(MalformedReason::Crypto(_))), "{error:?}");
    assert_eq!(status, 400);
}

#[test]
fn a_valid_envelope_with_a_broken_text_opens() {
    // The caller keeps it in quarantine; `event::parse` is what fails.
    let ours = keys("tok", 1, Mode::Safe);
    let text = encrypt(&ours, "not a push", APP);
    let body = json!({"Encrypt": text}).to_string();
    let opened = open(std::slice::from_ref(&ours), &encrypted_query("tok", &text), body.as_bytes()).unwrap();
    assert_eq!(opened.plaintext, b"not a push");
    assert!(wechat::callback::event::parse(&opened.plaintext).is_err());
}

#[test]
fn blanks_a_byte_order_mark_and_a_lower_case_key_are_read() {
    let ours = keys("tok", 1, Mode::Safe);
    let text = encrypt(&ours, MESSAGE, APP);
    let query = encrypted_query("tok", &text);
    for body in [
        format!("\r\n  {}", json!({"encrypt": text})),
        format!("\u{feff}{}", json!({"Encrypt": text})),
        format!(" <?xml version=\"1.0\"?>\n<xml><encrypt>{text}</encrypt></xml>\n"),
    ] {
        let opened = open(std::slice::from_ref(&ours), &query, body.as_bytes()).unwrap();
        assert_eq!(opened.plaintext, MESSAGE.as_bytes());
    }
}

#[test]
fn the_bounds_hold() {
    let ours = keys("tok", 1, Mode::Plain);
    let query = plain_query("tok");
    let tree = |reason| (OpenError::Malformed(MalformedReason::Tree(reason)), 400);
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BODY_BYTES));
    assert_eq!(refused(&ours, &query, large.as_bytes()), tree(TreeError::TooLarge));
    for depth in [31, 32, 33, 100, 20_000] {
        let arrays = format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let elements = format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        for body in [arrays, elements] {
            if depth <= 32 {
                assert!(open(std::slice::from_ref(&ours), &query, body.as_bytes()).is_ok(), "{depth}");
            } else {
                assert_eq!(refused(&ours, &query, body.as_bytes()), tree(TreeError::TooDeep), "{depth}");
            }
        }
    }
}

#[test]
fn document_types_and_entities_are_refused() {
    let ours = keys("tok", 1, Mode::Plain);
    for body in [
        "<!DOCTYPE xml [<!ENTITY a \"b\">]><xml>&a;</xml>",
        "<!DOCTYPE xml SYSTEM \"file:///etc/passwd\"><xml/>",
        "<xml>&a;</xml>",
        "<xml>&nbsp;</xml>",
    ] {
        let expected = OpenError::Malformed(MalformedReason::Tree(TreeError::Entity));
        assert_eq!(refused(&ours, &plain_query("tok"), body.as_bytes()), (expected, 400), "{body}");
    }
    let fine = "<xml>&lt;&gt;&amp;&quot;&apos;&#65;&#x41;</xml>";
    assert!(open(&[ours], &plain_query("tok"), fine.as_bytes()).is_ok());
}

#[test]
fn published_pushes_open() {
    let all: serde_json::Value = serde_json::from_str(include_str!("crypto-vectors.json")).unwrap();
    let mut opened = 0;
    for v in all["aes_vectors"].as_array().unwrap().iter().filter(|v| v.get("msg_signature").is_some()) {
        let text = |name: &str| v[name].as_str().unwrap().to_owned();
        let ours = Keys {
            app_id: text("appid"),
            token: text("token").into(),
            aes_key: Some(EncodingAesKey::parse(&text("encoding_aes_key")).unwrap()),
            mode: Mode::Safe,
        };
        let query = Query {
            timestamp: Some(text("timestamp")),
            nonce: Some(text("nonce")),
            msg_signature: Some(text("msg_signature")),
            ..Query::default()
        };
        let body = json!({"Encrypt": text("encrypt")}).to_string();
        let plain = open(&[ours], &query, body.as_bytes()).unwrap().plaintext;
        assert_eq!(String::from_utf8(plain).unwrap(), v["decrypted"]["msg"].as_str().unwrap());
        opened += 1;
    }
    assert_eq!(opened, 10);
}

#[test]
fn debug_of_an_opened_push_does_not_show_its_text() {
    let ours = keys("tok", 1, Mode::Safe);
    let (query, body) = push(&ours, Mode::Safe, Format::Json);
    let shown = format!("{:?}", open(&[ours], &query, &body).unwrap());
    assert!(!shown.contains("debug_demo") && shown.contains("bytes]"), "{shown}");
}

//! The body of a push as it comes from the network, in every mode, wrongly and rightly signed, and what stands inside an
//! encrypted one. The first byte of the input chooses what the rest is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::{Keys, Mode, OpenError, Query, event, open, signature};

const APP: &str = "wxba5fad812f8e6fb9";
const TOKEN: &str = "AAAAA";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let keys = |mode| Keys {
        app_id: APP.to_owned(),
        token: TOKEN.into(),
        aes_key: EncodingAesKey::parse(KEY).ok(),
        mode,
    };
    let all = [keys(Mode::Plain), keys(Mode::Compat), keys(Mode::Safe)];
    match choice % 4 {
        // Whatever stands there, with a signature that fits a plain body and nothing else.
        0 => {
            let query = signed(None);
            for one in &all {
                match open(std::slice::from_ref(one), &query, body) {
                    Ok(opened) => {
                        assert_eq!(one.mode, Mode::Plain, "nothing unencrypted passes where it is asked for");
                        assert_eq!(opened.plaintext, body);
                    }
                    Err(error) => assert!(matches!(error.http_status(), 400 | 403)),
                }
            }
        }
        // The same, but its `Encrypt` is signed: as deep as somebody with the token gets.
        1 => {
            let encrypt = serde_json::from_slice::<serde_json::Value>(body)
                .ok()
                .and_then(|body| Some(body.get("Encrypt")?.as_str()?.to_owned()))
                .or_else(|| between(body, "<Encrypt>", "</Encrypt>"));
            let _ = open(&all, &signed(encrypt.as_deref()), body);
        }
        // The input is what stands inside, as WeChat would encrypt it.
        2 => {
            let encrypt = EncodingAesKey::parse(KEY).unwrap().encrypt(*b"0123456789abcdef", body, APP);
            let envelope = serde_json::json!({ "ToUserName": "gh_1", "Encrypt": encrypt }).to_string();
            if envelope.len() <= wechat::callback::MAX_BODY_BYTES {
                let opened = open(&all[2..], &signed(Some(&encrypt)), envelope.as_bytes()).unwrap();
                assert_eq!(opened.plaintext, body);
                let _ = event::parse(&opened.plaintext);
            }
        }
        // The input is the ciphertext itself: padding, length field and AppID are garbage.
        _ => {
            let text = String::from_utf8_lossy(body);
            let envelope = serde_json::json!({ "Encrypt": text }).to_string();
            match open(&all, &signed(Some(&text)), envelope.as_bytes()) {
                Ok(opened) => assert_eq!(opened.app_id, APP),
                Err(OpenError::BadSignature) => panic!("the signature was right"),
                Err(_) => {}
            }
        }
    }
});

fn signed(encrypt: Option<&str>) -> Query {
    let sign = |parts: &[&str]| Some(signature::sign(parts));
    Query {
        signature: sign(&[TOKEN, "1714112445", "4157"]),
        msg_signature: sign(&[TOKEN, "1714112445", "4157", encrypt.unwrap_or("?")]),
        timestamp: Some("1714112445".to_owned()),
        nonce: Some("4157".to_owned()),
        ..Query::default()
    }
}

/// What stands between two words, without a CDATA mark.
fn between(body: &[u8], before: &str, after: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let inside = text.split_once(before)?.1.split_once(after)?.0;
    let bare = inside.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>"));
    Some(bare.unwrap_or(inside).to_owned())
}

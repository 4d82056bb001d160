//! Replies: the published vector, and customer-service answers in both formats.

use serde_json::Value;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::reply::{Encryption, NoKey, Parties, Reply, encrypt, read, transfer_customer_service};
use wechat::callback::{Format, Keys, MalformedReason, Mode, OpenError, Query, event, open};

const PARTIES: Parties<'_> = Parties { user: "oG]]>0", mini_program: "gh_1", create_time: 1_700_000_000 };

fn official_keys() -> Keys {
    Keys {
        app_id: "wxba5fad812f8e6fb9".into(),
        token: "AAAAA".into(),
        aes_key: EncodingAesKey::parse(&"A".repeat(43)).ok(),
        mode: Mode::Safe,
    }
}

#[test]
fn the_official_reply_is_made_byte_for_byte() {
    let all: Value = serde_json::from_str(include_str!("crypto-vectors.json")).unwrap();
    let v = all["aes_vectors"].as_array().unwrap().iter().find(|v| v["id"] == "doc-safe-reply").unwrap();
    let keys = official_keys();
    let encryption = Encryption {
        keys: &keys,
        random: v["decrypted"]["random"].as_str().unwrap().as_bytes().try_into().unwrap(),
        timestamp: v["timestamp"].as_str().unwrap().parse().unwrap(),
        nonce: v["nonce"].as_str().unwrap(),
    };
    let content = v["decrypted"]["msg"].as_str().unwrap();
    let made: Value =
        serde_json::from_str(&encrypt(Format::Json, &encryption, content.as_bytes()).unwrap()).unwrap();
    assert_eq!(made["Encrypt"], v["encrypt"]);
    assert_eq!(made["MsgSignature"], v["msg_signature"]);
    assert_eq!(made["TimeStamp"], 1_713_424_427);
    assert_eq!(made["Nonce"], "415670741");
    let xml = encrypt(Format::Xml, &encryption, content.as_bytes()).unwrap();
    let (text, signed) = (v["encrypt"].as_str().unwrap(), v["msg_signature"].as_str().unwrap());
    assert_eq!(
        xml,
        format!(
            "<xml><Encrypt><![CDATA[{text}]]></Encrypt><MsgSignature><![CDATA[{signed}]]></MsgSignature>\
             <TimeStamp>1713424427</TimeStamp><Nonce><![CDATA[415670741]]></Nonce></xml>"
        )
    );
}

#[test]
fn transfers_are_plain_or_encrypted_in_both_formats() {
    let keys = official_keys();
    for format in [Format::Json, Format::Xml] {
        let plain = transfer_customer_service(format, &PARTIES, None).unwrap();
        let push = event::parse(plain.as_bytes()).unwrap();
        assert_eq!(push.msg_type, "transfer_customer_service");
        assert_eq!((push.to_user.as_str(), push.from_user.as_str()), ("oG]]>0", "gh_1"));
        assert_eq!(push.create_time, 1_700_000_000);

        let encryption = Encryption { keys: &keys, random: [7; 16], timestamp: 1_700_000_001, nonce: "99" };
        let sealed = transfer_customer_service(format, &PARTIES, Some(&encryption)).unwrap();
        assert!(!sealed.contains("transfer"), "{sealed}");
        let is_signature = |part: &&str| part.len() == 40;
        let signed = sealed.split(|c: char| !c.is_ascii_hexdigit()).find(is_signature).unwrap();
        let query = Query {
            msg_signature: Some(signed.to_owned()),
            timestamp: Some("1700000001".into()),
            nonce: Some("99".into()),
            ..Query::default()
        };
        let opened = open(std::slice::from_ref(&keys), &query, sealed.as_bytes()).unwrap();
        assert_eq!(opened.plaintext, plain.as_bytes());
    }
}

#[test]
fn without_a_key_nothing_is_encrypted() {
    let keys = Keys { aes_key: None, ..official_keys() };
    let encryption = Encryption { keys: &keys, random: [7; 16], timestamp: 1, nonce: "9" };
    assert_eq!(transfer_customer_service(Format::Json, &PARTIES, Some(&encryption)), Err(NoKey));
}

#[test]
fn answers_are_read_as_wechat_has_to() {
    let safe = official_keys();
    let plain_mode = Keys { mode: Mode::Plain, ..safe.clone() };
    for keys in [&safe, &plain_mode] {
        assert_eq!(read(keys, b"success"), Ok(Reply::Taken));
        assert_eq!(read(keys, b""), Ok(Reply::Taken));
        assert!(matches!(read(keys, b"<html>"), Err(OpenError::Malformed(MalformedReason::Tree(_)))));
        assert!(matches!(read(keys, b"Success"), Err(OpenError::Malformed(MalformedReason::Tree(_)))));
    }
    let encryption = Encryption { keys: &safe, random: [7; 16], timestamp: 1_700_000_001, nonce: "99" };
    for format in [Format::Json, Format::Xml] {
        let content = transfer_customer_service(format, &PARTIES, None).unwrap();
        let plaintext = content.clone().into_bytes();
        let read_plain = Reply::Content { plaintext: plaintext.clone(), format, encrypted: false };
        assert_eq!(read(&plain_mode, content.as_bytes()), Ok(read_plain));
        assert_eq!(
            read(&safe, content.as_bytes()),
            Err(OpenError::WeakerMode),
            "never in plain in safe mode"
        );

        let sealed = transfer_customer_service(format, &PARTIES, Some(&encryption)).unwrap();
        for sealed in
            [sealed.clone(), sealed.replace("MsgSignature", "msgsignature").replace("Nonce", "nonce")]
        {
            let opened = Reply::Content { plaintext: plaintext.clone(), format, encrypted: true };
            assert_eq!(read(&safe, sealed.as_bytes()), Ok(opened), "{sealed}");
        }
        let other_time = sealed.replace("1700000001", "1700000002");
        assert_eq!(read(&safe, other_time.as_bytes()), Err(OpenError::BadSignature));
        let unsigned = sealed.replace("MsgSignature", "Other");
        assert_eq!(read(&safe, unsigned.as_bytes()), Err(OpenError::Missing("msg_signature")));
        let foreign = Keys { app_id: "wx_other".into(), ..safe.clone() };
        assert_eq!(read(&foreign, sealed.as_bytes()), Err(OpenError::WrongAppId));
    }
}

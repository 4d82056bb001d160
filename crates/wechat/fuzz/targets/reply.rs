//! A server's answer to a push, as a simulator reads it; and a reply made from the input reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::reply::{Encryption, Reply, encrypt, read};
use wechat::callback::{Format, Keys, MAX_BODY_BYTES, Mode};

fuzz_target!(|input: &[u8]| {
    let keys = |mode| Keys {
        app_id: "wxba5fad812f8e6fb9".to_owned(),
        token: "AAAAA".into(),
        aes_key: EncodingAesKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").ok(),
        mode,
    };
    let safe = keys(Mode::Safe);
    let _ = read(&keys(Mode::Plain), input);
    match read(&safe, input) {
        Ok(Reply::Content { encrypted, .. }) => assert!(encrypted, "never in plain in safe mode"),
        Ok(Reply::Taken) => assert!(input.is_empty() || input == b"success"),
        Err(_) => {}
    }
    let encryption = Encryption { keys: &safe, random: [7; 16], timestamp: 1_700_000_001, nonce: "99" };
    for format in [Format::Json, Format::Xml] {
        let sealed = encrypt(format, &encryption, input).unwrap();
        if sealed.len() <= MAX_BODY_BYTES {
            let back = Reply::Content { plaintext: input.to_vec(), format, encrypted: true };
            assert_eq!(read(&safe, sealed.as_bytes()), Ok(back));
        }
    }
});

//! A verified, decrypted push: whatever it holds, reading it ends, and what is read keeps the bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wechat::callback::event::{Kind, parse};
use wechat::callback::{MAX_BODY_BYTES, MAX_ITEMS};

fuzz_target!(|input: &[u8]| {
    let Ok(push) = parse(input) else { return };
    assert!(input.len() <= MAX_BODY_BYTES);
    let items = match &push.kind {
        Kind::Popup(items) => items.len(),
        Kind::Change(items) => items.len(),
        Kind::Sent(items) => items.len(),
        Kind::OtherEvent(name) => return assert!(!name.is_empty()),
        Kind::CustomerService | Kind::Unknown => return,
    };
    assert!((1..=MAX_ITEMS).contains(&items));
    assert!(!push.from_user.is_empty(), "a subscribe event is somebody's");
});

//! What WeChat pushes to a server (消息推送): used by whoever answers WeChat's `GET` and `POST`, and by simulators that play WeChat.
//!
//! The road of a push: [`open`] verifies and decrypts the body, [`event::parse`] reads it, [`reply`] makes an answer
//! where `success` is not enough.
//!
//! Source: the official page "消息推送" (developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html).

pub mod crypto;
pub mod event;
mod open;
mod query;
pub mod reply;
mod setting;
pub mod signature;
mod tree;

pub use open::{MalformedReason, OpenError, Opened, open};
pub use query::{Query, VerifyError, verify_url};
pub use setting::{Format, Keys, Mode, UnknownWord};
pub use tree::TreeError;

/// The greatest body that is read, in bytes (256 KiB). WeChat states no limit; its real pushes are far smaller.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// The greatest depth of nested objects, arrays or elements that is read. WeChat's pushes nest four deep at most.
pub const MAX_DEPTH: usize = 32;
/// The greatest number of items of one event that is read. WeChat asks for at most five templates at once.
pub const MAX_ITEMS: usize = 1000;

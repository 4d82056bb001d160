//! What WeChat pushes to a server (消息推送): used by whoever answers WeChat's `GET` and `POST`, and by simulators that play WeChat.
//!
//! Source: the official page "消息推送" (developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html).

pub mod crypto;
pub mod signature;

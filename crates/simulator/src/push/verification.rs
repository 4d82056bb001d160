//! The GET verification, as WeChat's console does it when the form is submitted.

use super::Envelope;
use crate::{Simulator, api::Verification};

pub(crate) async fn verify(sim: &Simulator, envelope: &Envelope) -> Verification {
    let world = &sim.0;
    let echostr = (1_000_000_000_000_000_000 + world.chance.number() % 8_000_000_000_000_000_000).to_string();
    let uri = envelope.verification(sim.now() / 1000, &world.chance.nonce(), &echostr);
    match world.courier.get(&uri, world.config.callback_deadline).await {
        Err(error) => Verification {
            ok: false,
            status: None,
            body: String::new(),
            reason: Some(format!("请求 URL 超时或无法连接：{error}")),
        },
        Ok((status, body)) => {
            let ok = status == 200 && *body == *echostr.as_bytes();
            let reason = match (ok, status) {
                (true, _) => None,
                (false, 200) => Some("Token校验失败，请检查确认：回答的不是原样的 echostr".to_owned()),
                (false, _) => Some(format!("Token校验失败，请检查确认：HTTP {status}")),
            };
            let body = String::from_utf8_lossy(&body[..body.len().min(super::KEEP_ANSWER)]).into_owned();
            Verification { ok, status: Some(status), body, reason }
        }
    }
}

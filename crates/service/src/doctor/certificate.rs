//! The certificate of `public_url`: what was seen of it last, the check, and what the alarm says. WeChat pushes only to an address
//! whose certificate a browser would trust, so that all callbacks stop on the day it ends.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use domain::Millis;
use domain::clock::{DAY, SECOND};
use wechat::Lang;
use wechat::client::{Distrust, NoCertificate, ShownCertificate};

use super::{Checks, Text, Verdict, text};
use crate::Service;
use crate::view::time;

/// So long before its end somebody is told.
pub const AHEAD: Millis = 15 * DAY;
const PATIENCE: Duration = Duration::from_secs(5);

/// What was seen of the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSeen {
    /// When it ends, where that could be read.
    pub not_after: Option<Millis>,
    /// Whether WeChat would take it; what is to be done where it would not, or not for long.
    pub verdict: Verdict,
    /// `expired`, `name_mismatch`, `unknown_issuer`, `not_yet`, `untrusted`, `ends_soon`, `no_tls`,
    /// `unreachable`; none where it is good.
    pub because: Option<&'static str>,
    detail: Text,
    remedy: Option<Text>,
}

impl CertificateSeen {
    /// What it means, and what to do, in one text.
    pub fn text(&self, lang: Lang) -> String {
        let pick = |text: &Text| if lang == Lang::Zh { text.0.clone() } else { text.1.clone() };
        let remedy = self.remedy.as_ref().map(pick).unwrap_or_default();
        format!("{} {remedy}", pick(&self.detail)).trim_end().to_owned()
    }

    /// Whether somebody has to see to it.
    pub fn alarms(&self) -> bool {
        self.verdict >= Verdict::Warn
    }
}

/// The last look, and (for tests) authorities that are trusted beside the public ones.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    seen: Mutex<Option<CertificateSeen>>,
    also_trusted: OnceLock<Vec<u8>>,
}

impl Service {
    /// Trusts another authority (DER) when the certificate of `public_url` is looked at: for tests with one of their own.
    #[doc(hidden)]
    pub fn trust_also(&self, authority: Vec<u8>) {
        let _ = self.certificates.also_trusted.set(authority);
    }

    /// What was seen of the certificate of `public_url` at the last look.
    pub fn certificate_seen(&self) -> Option<CertificateSeen> {
        self.certificates.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the certificate of `public_url`; none where that is not `https://`.
    pub async fn look_at_certificate(&self) -> Option<CertificateSeen> {
        let url = self.public_url().filter(|url| url.starts_with("https://"))?;
        let also: Vec<Vec<u8>> = self.certificates.also_trusted.get().cloned().into_iter().collect();
        let seen = match ShownCertificate::of(url, &also, PATIENCE).await {
            Ok(shown) => judged(&shown, self.now()),
            Err(error) => unreachable(&error),
        };
        let mut kept = self.certificates.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // That it could not be reached once says nothing of the certificate that was seen before.
        if kept.is_none() || seen.because != Some("unreachable") {
            *kept = Some(seen.clone());
        }
        Some(seen)
    }

    pub(super) async fn check_certificate(&self, checks: &mut Checks) {
        let titles = ("public_url 的证书", "Certificate of public_url");
        match self.look_at_certificate().await {
            Some(CertificateSeen { verdict, detail, remedy, .. }) => {
                checks.add("certificate", titles, verdict, detail, remedy);
            }
            None if self.public_url().is_none() => checks.skip(
                "certificate",
                titles,
                text(
                    "没有设置 public_url，无法检查。设置后会检查证书，并在到期前 15 天提醒。",
                    "public_url is not set. Where it is, its certificate is looked at, and 15 days before its end somebody is told.",
                ),
            ),
            None => checks.warn(
                "certificate",
                titles,
                text("public_url 不是 https://，没有证书。", "public_url is not https://: there is no certificate."),
                text(
                    "微信的正式环境要求 HTTPS：在前面放 nginx 或 Caddy，把 public_url 改成 https://。",
                    "WeChat wants HTTPS: put nginx or Caddy in front and set public_url to https://.",
                ),
            ),
        }
    }
}

fn judged(shown: &ShownCertificate, now: Millis) -> CertificateSeen {
    let not_after = shown.not_after().map(|at| at.saturating_mul(SECOND));
    let until = not_after.map(time).unwrap_or_default();
    let found = |verdict, because, detail: Text, remedy: Text| CertificateSeen {
        not_after,
        verdict,
        because: Some(because),
        detail,
        remedy: Some(remedy),
    };
    let fail = |because, detail, remedy| found(Verdict::Fail, because, detail, remedy);
    match shown.distrust(now / SECOND) {
        Some(Distrust::Expired) => {
            return fail(
                "expired",
                (
                    format!("证书已过期（{until}），微信不再推送。"),
                    format!("It has expired ({until}); WeChat pushes nothing any more."),
                ),
                text("立即续期证书并重新加载反向代理。", "Renew it at once, and reload the reverse proxy."),
            );
        }
        Some(Distrust::NotYet) => {
            return fail(
                "not_yet",
                text("证书尚未生效。", "Its time has not begun."),
                text("检查服务器时间与证书。", "Look at the clock and at the certificate."),
            );
        }
        _ => {}
    }
    if !shown.names_host() {
        return fail(
            "name_mismatch",
            text("证书不是给这个域名的，微信会拒绝。", "It is not for this name; WeChat refuses it."),
            text(
                "为 public_url 的域名申请证书，或检查反向代理的 server_name。",
                "Get one for the name in public_url, or look at the proxy's server_name.",
            ),
        );
    }
    match shown.distrust(now / SECOND) {
        Some(Distrust::UnknownIssuer) => fail(
            "unknown_issuer",
            text(
                "证书不被公认的机构信任：是自签证书，或服务器没有发送中间证书。",
                "No public authority stands behind it: it is self-made, or the server does not send the certificates in between.",
            ),
            text(
                "使用公认机构签发的证书，并配置完整证书链（fullchain）。",
                "Use one of a public authority, and configure the whole chain (fullchain).",
            ),
        ),
        Some(Distrust::Other(why)) => fail(
            "untrusted",
            (format!("证书不可信：{why}"), format!("It is not trusted: {why}")),
            text("更换证书。", "Replace it."),
        ),
        // The whole chain in fifteen days: a certificate in between may end before the server's own.
        _ if shown.distrust((now + AHEAD) / SECOND).is_some() => {
            let days = not_after.map_or(0, |at| (at - now).div_euclid(DAY)).max(0);
            let own = not_after.is_some_and(|at| at <= now + AHEAD);
            let detail = if own {
                (format!("还有 {days} 天到期（{until}）。"), format!("It ends in {days} days ({until})."))
            } else {
                text("证书链中有一张将在 15 天内到期。", "One of its chain ends within 15 days.")
            };
            found(
                Verdict::Warn,
                "ends_soon",
                detail,
                text(
                    "现在就续期，并查看为什么没有自动续期。",
                    "Renew it now, and see why that does not happen by itself.",
                ),
            )
        }
        _ => {
            let days = not_after.map_or(0, |at| (at - now).div_euclid(DAY));
            CertificateSeen {
                not_after,
                verdict: Verdict::Ok,
                because: None,
                detail: (
                    format!("有效，还有 {days} 天到期（{until}）。"),
                    format!("It is valid for {days} more days (until {until})."),
                ),
                remedy: None,
            }
        }
    }
}

fn unreachable(error: &NoCertificate) -> CertificateSeen {
    let (verdict, because) = match error {
        // Many networks do not lead back to their own public address.
        NoCertificate::NoConnection(_) => (Verdict::Skipped, "unreachable"),
        NoCertificate::NotHttps | NoCertificate::NoHandshake(_) => (Verdict::Fail, "no_tls"),
    };
    let (detail, remedy) = match verdict {
        Verdict::Fail => (
            (format!("TLS 握手失败：{error}"), format!("The TLS handshake failed: {error}")),
            Some(text(
                "检查反向代理是否在该端口提供 HTTPS（TLS 1.2 或 1.3）。",
                "See whether the reverse proxy serves HTTPS (TLS 1.2 or 1.3) at this port.",
            )),
        ),
        _ => (
            (
                format!(
                    "本机连不上 public_url（{error}），无法检查证书；若网络不支持从内部访问公网地址，这是正常的，请在外部检查。"
                ),
                format!(
                    "This machine does not reach public_url ({error}); where the network does not lead back to itself that is normal: check it from outside."
                ),
            ),
            None,
        ),
    };
    CertificateSeen { not_after: None, verdict, because: Some(because), detail, remedy }
}

//! Whether the outside reaches us: `public_url` from here, and WeChat's own try of the push URL (`callback/check`).

use std::time::Duration;

use wechat::client::{CallError, CheckAction, CheckOperator, OutsideCall};

use super::app::said_by_wechat;
use super::{Checks, text};
use crate::{App, Service};

const HEALTH: Duration = Duration::from_secs(5);
/// WeChat resolves and pings meanwhile.
const WECHAT: Duration = Duration::from_secs(15);

impl Service {
    pub(super) async fn check_public_url(&self, checks: &mut Checks) {
        let titles = ("从本机访问 public_url", "public_url, from here");
        let Some(base) = self.public_url() else {
            return checks.add(
                "public_url",
                titles,
                super::Verdict::Warn,
                text("没有设置 public_url。", "public_url is not set."),
                Some(text(
                    "在配置文件里设置 public_url（外部访问本服务的 https 地址）：接入向导、通知链接和证书检查都要用它。",
                    "Set public_url in the configuration (the https address that the outside uses): the guide, links and the certificate check need it.",
                )),
            );
        };
        let url = format!("{}/healthz", base.trim_end_matches('/'));
        let call =
            OutsideCall { post: None, url: &url, query: None, headers: &[], time: HEALTH, limit: 4_096 };
        match self.client.outside(&call).await {
            Ok(answer) if answer.status == 200 && &*answer.body == b"ok" => checks.ok(
                "public_url",
                titles,
                (format!("{url} 有应答。"), format!("{url} answers.")),
            ),
            Ok(answer) => {
                let status = answer.status;
                checks.warn(
                    "public_url",
                    titles,
                    (
                        format!("{url} 的应答（{status}）不是鸿雁的。"),
                        format!("What {url} answers ({status}) is not Hongyan's."),
                    ),
                    text(
                        "检查反向代理：/healthz、/callback、/mp 要原样转发到本服务，不能跳转；public_url 带路径时代理要去掉该路径。",
                        "Look at the reverse proxy: /healthz, /callback and /mp go to this service as they are, without redirects; where public_url has a path, the proxy takes it away.",
                    ),
                );
            }
            // Many networks do not lead back to their own public address: WeChat's own try decides.
            Err(error) => checks.skip(
                "public_url",
                titles,
                (
                    format!("本机访问不到 {url}：{error}。网络不支持从内部访问公网地址时这是正常的，以微信的检测为准。"),
                    format!("{url} is not reached from here: {error}. Where the network does not lead back to itself that is normal; WeChat's own try decides."),
                ),
            ),
        }
    }

    pub(super) async fn check_push_address(&self, app: &App, checks: &mut Checks) {
        let titles = ("微信到推送地址的网络", "WeChat's way to the push URL");
        let Ok(token) = self.tokens.get(app).await else { return };
        let client = self.client.with_call_timeout(WECHAT);
        let asked = client
            .callback_check(&app.api_base_url, &token.secret, CheckAction::All, CheckOperator::Default)
            .await;
        match asked {
            Ok(found) if found.dns.is_empty() => checks.fail(
                "push_address",
                titles,
                text("微信解析不出推送地址的域名。", "WeChat cannot resolve the name of the push URL."),
                text("检查域名解析与备案。", "Look at the DNS and at the filing (备案) of the name."),
            ),
            Ok(found) => {
                let ips: Vec<&str> = found.dns.iter().map(|one| one.ip.as_str()).collect();
                let ips = ips.join(", ");
                let lost = !found.ping.is_empty() && found.ping.iter().all(|one| one.package_loss == "100%");
                let (zh, en) = if lost {
                    (
                        "；ping 不通，许多主机禁 ping，收得到推送就不用管",
                        "; it does not answer ping, which many hosts do not: where pushes arrive nothing is wrong",
                    )
                } else {
                    ("", "")
                };
                checks.ok(
                    "push_address",
                    titles,
                    (format!("微信解析到 {ips}{zh}。"), format!("WeChat resolves it to {ips}{en}.")),
                );
            }
            Err(CallError::WeChat { errcode: 40201, .. }) => checks.fail(
                "push_address",
                titles,
                text("微信后台没有设置推送地址。", "No push URL is set at WeChat."),
                text(
                    "在微信公众平台 → 开发管理 → 消息推送里填写；接入向导里有要粘贴的内容。",
                    "Set it at WeChat (开发管理 → 消息推送); the guide has what is to be pasted.",
                ),
            ),
            Err(CallError::WeChat { errcode, errmsg }) => {
                let (detail, _) = said_by_wechat(errcode, &errmsg);
                checks.skip("push_address", titles, detail);
            }
            Err(error) => checks.skip(
                "push_address",
                titles,
                (format!("微信没有回答：{error}"), format!("WeChat did not answer: {error}")),
            ),
        }
    }
}

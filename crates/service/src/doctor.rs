//! The diagnosis (一键诊断): checks of an app's set-up, each with a verdict, what it means and what to do. Used by the console, the
//! API and the command line.

use domain::Millis;
use domain::clock::{DAY, HOUR, MINUTE};
use serde::Serialize;
use wechat::Lang;
use wechat::client::CallError;

use crate::arrivals::Arrival;
use crate::templates::token_problem;
use crate::tokens::TokenError;
use crate::view::time;
use crate::{App, Service};

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// All right.
    Ok,
    /// It works, but somebody should look.
    Attention,
    /// It does not work.
    Problem,
    /// It cannot be told.
    Unknown,
}

/// One check.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// In a word.
    pub code: &'static str,
    /// What is checked.
    pub title: String,
    /// What was found.
    pub found: Found,
    /// What it means and what to do.
    pub detail: String,
}

/// Further apart than this, WeChat's clock and ours lead to trouble.
const SKEW: i64 = 120;
/// Templates that nobody has read for so long.
const OLD: Millis = 2 * DAY;

/// Gathers the checks in one language.
struct Checks {
    lang: Lang,
    all: Vec<Check>,
}

impl Checks {
    fn add(&mut self, code: &'static str, titles: (&str, &str), found: Found, detail: (String, String)) {
        let (title, detail) = match self.lang {
            Lang::Zh => (titles.0, detail.0),
            Lang::En => (titles.1, detail.1),
        };
        self.all.push(Check { code, title: title.to_owned(), found, detail });
    }
}

impl Service {
    /// Checks an app, asking WeChat where that is needed.
    pub async fn doctor(&self, app: &App, lang: Lang) -> Vec<Check> {
        let mut checks = Checks { lang, all: Vec::new() };
        self.check_secret(app, &mut checks);
        let token = self.check_token(app, &mut checks).await;
        self.check_templates(app, token, &mut checks).await;
        self.check_callbacks(app, &mut checks).await;
        self.check_clock(app, &mut checks);
        self.check_gate(app, &mut checks).await;
        if token {
            self.check_quota(app, &mut checks).await;
        }
        checks.all
    }

    fn check_secret(&self, app: &App, checks: &mut Checks) {
        let titles = ("AppID 与 AppSecret", "AppID and AppSecret");
        if app.has_secret() || app.token_source.is_url() {
            let said = ("已填写。".to_owned(), "Given.".to_owned());
            checks.add("secret", titles, Found::Ok, said);
        } else {
            let said = (
                "还没有填写 AppSecret。在微信公众平台 → 管理 → 开发管理 → 开发设置里生成，填到小程序设置中。".to_owned(),
                "There is no AppSecret yet. Generate it at WeChat (管理 → 开发管理 → 开发设置) and put it into the app's settings.".to_owned(),
            );
            checks.add("secret", titles, Found::Problem, said);
        }
    }

    async fn check_token(&self, app: &App, checks: &mut Checks) -> bool {
        let titles = ("获取 access_token", "Access token");
        match self.tokens.get(app).await {
            Ok(_) => {
                let said = (
                    "可以从微信取得，AppSecret 正确，IP 已放行。".to_owned(),
                    "WeChat gives one: the AppSecret is right, and our address is allowed.".to_owned(),
                );
                checks.add("token", titles, Found::Ok, said);
                true
            }
            Err(error) => {
                let problem = token_problem(&error);
                let mut said = (problem.zh, problem.en);
                if let TokenError::Call(call) = &error
                    && let CallError::WeChat { errcode: 40164, errmsg } = &**call
                    && let Some(ip) = wechat::errcode::ip(errmsg)
                {
                    said.0.push_str(&format!(" 要加入白名单的 IP：{ip}"));
                    said.1.push_str(&format!(" The address to add: {ip}"));
                }
                checks.add("token", titles, Found::Problem, said);
                false
            }
        }
    }

    async fn check_templates(&self, app: &App, token: bool, checks: &mut Checks) {
        let titles = ("订阅消息模板", "Templates");
        let mut templates = self.templates(app).await.unwrap_or_default();
        if templates.is_empty() && token {
            templates = self.sync_templates(app).await.unwrap_or_default();
        }
        let there = templates.iter().filter(|template| !template.gone).count();
        let synced = templates.iter().filter_map(|template| template.synced_at).max();
        let (found, said) = if there == 0 {
            (
                if token { Found::Attention } else { Found::Unknown },
                (
                    "没有模板。在微信公众平台 → 功能 → 订阅消息里选用，或在这里的“模板”页选用，然后同步。".to_owned(),
                    "There are none. Choose some at WeChat (功能 → 订阅消息) or on the page of templates here, then sync.".to_owned(),
                ),
            )
        } else if synced.is_none_or(|at| self.now() - at > OLD) {
            (
                Found::Attention,
                (
                    format!("有 {there} 个，但很久没有同步过（{}）。", synced.map(time).unwrap_or_default()),
                    format!(
                        "There are {there}, but they were not synced for long ({}).",
                        synced.map(time).unwrap_or_default()
                    ),
                ),
            )
        } else {
            (Found::Ok, (format!("有 {there} 个。"), format!("There are {there}.")))
        };
        checks.add("templates", titles, found, said);
    }

    async fn check_callbacks(&self, app: &App, checks: &mut Checks) {
        let titles = ("微信推送（回调）", "Callbacks");
        let arrivals = self.arrivals(app);
        let last = self.last_callback(app).await.ok().flatten();
        let good = arrivals.iter().find(|arrival| arrival.refused.is_none());
        let refused = arrivals
            .iter()
            .find(|arrival| arrival.refused.is_some())
            .filter(|bad| good.is_none_or(|good| good.at <= bad.at) && last.is_none_or(|at| at <= bad.at));
        if let Some(Arrival { at, refused: Some(reason), .. }) = refused {
            let (zh, en) = refusal(reason);
            let at = time(*at);
            checks.add(
                "callbacks",
                titles,
                Found::Problem,
                (format!("最近一次（{at}）被拒绝：{zh}"), format!("The latest ({at}) was refused: {en}")),
            );
            return;
        }
        let latest = last.into_iter().chain(good.map(|good| good.at)).max();
        let (found, said) = match latest {
            None => (
                Found::Attention,
                (
                    "还没有收到过。若已在微信后台提交：检查域名解析、安全组与防火墙的 80/443 端口、备案、HTTPS 证书链，且不能跳转。".to_owned(),
                    "None has come yet. If it was submitted at WeChat: look at DNS, security group and firewall (ports 80 and 443), filing (备案), the certificate chain, and redirects.".to_owned(),
                ),
            ),
            Some(at) if self.now() - at > 7 * DAY => (
                Found::Attention,
                (format!("最近一次在 {}，已超过 7 天。", time(at)), format!("The latest came on {}, more than 7 days ago.", time(at))),
            ),
            Some(at) => (Found::Ok, (format!("最近一次在 {}。", time(at)), format!("The latest came on {}.", time(at)))),
        };
        checks.add("callbacks", titles, found, said);
        let titles = ("消息加解密方式", "Mode");
        if good.is_some_and(|good| good.stronger_mode) {
            checks.add(
                "mode",
                titles,
                Found::Attention,
                (
                    format!("微信用的方式比这里设置的（{}）更强，已正常接收；请把这里的设置改成与微信后台一致。", app.mode()),
                    format!("WeChat uses a stronger mode than is set here ({}); they are taken, but set the same here.", app.mode()),
                ),
            );
        } else if good.is_some_and(|good| !good.verification) {
            checks.add(
                "mode",
                titles,
                Found::Ok,
                ("与微信后台一致。".to_owned(), "The same as at WeChat.".to_owned()),
            );
        }
    }

    fn check_clock(&self, app: &App, checks: &mut Checks) {
        let titles = ("服务器时间", "Clock");
        let skew = self.arrivals(app).iter().find_map(|arrival| arrival.skew_seconds);
        let (found, said) = match skew {
            Some(skew) if skew.abs() > SKEW => (
                Found::Problem,
                (
                    format!("与微信的时间相差 {skew} 秒。请开启时间同步（timedatectl set-ntp true）。"),
                    format!(
                        "It is {skew} seconds from WeChat's. Switch time synchronisation on (timedatectl set-ntp true)."
                    ),
                ),
            ),
            Some(skew) => {
                (Found::Ok, (format!("与微信相差 {skew} 秒。"), format!("{skew} seconds from WeChat's.")))
            }
            None => (
                Found::Unknown,
                (
                    "收到微信推送后才能比较。".to_owned(),
                    "It can be compared once a callback has come.".to_owned(),
                ),
            ),
        };
        checks.add("clock", titles, found, said);
    }

    async fn check_gate(&self, app: &App, checks: &mut Checks) {
        let titles = ("发送", "Sending");
        let (found, said) = match self.store.gate(app.number).await {
            Ok(None) => (Found::Ok, ("没有被拦下。".to_owned(), "Nothing holds it up.".to_owned())),
            Ok(Some(gate)) => {
                let explain = |lang| crate::restored::gate_text(&gate, lang);
                let (mut zh, mut en) = (
                    format!("已暂停：{}", explain(Lang::Zh)),
                    format!("It stands still: {}", explain(Lang::En)),
                );
                // One that only a person opens is not tried again.
                if gate.reason != store::restored::RESTORED {
                    let retry = time(gate.retry_at);
                    zh.push_str(&format!(" {retry} 自动再试。"));
                    en.push_str(&format!(" It is tried again at {retry}."));
                }
                (Found::Problem, (zh, en))
            }
            Err(_) => (
                Found::Unknown,
                ("数据库暂时不可用。".to_owned(), "The database is not available.".to_owned()),
            ),
        };
        checks.add("sending", titles, found, said);
    }

    async fn check_quota(&self, app: &App, checks: &mut Checks) {
        let titles = ("调用额度", "Quota");
        let (found, said) = match self.quota(app).await {
            Ok(quota) => {
                let nearly = quota.daily_limit > 0 && quota.used * 10 >= quota.daily_limit * 9;
                let found = if nearly { Found::Attention } else { Found::Ok };
                let (used, limit) = (quota.used, quota.daily_limit);
                (
                    found,
                    (
                        format!("今日已用 {used} / {limit}。"),
                        format!("{used} of {limit} calls are used today."),
                    ),
                )
            }
            Err(problem) => (Found::Unknown, (problem.zh, problem.en)),
        };
        checks.add("quota", titles, found, said);
    }
}

/// What a refusal means, with the remedy: in Chinese and English.
pub fn refusal(reason: &str) -> (&'static str, &'static str) {
    match reason {
        "bad_signature" => (
            "签名不符：微信后台填写的 Token 与这里的不一样。请重新复制粘贴 Token 后再提交。",
            "the signature does not match: the Token at WeChat differs from the one here. Copy it once more and submit again.",
        ),
        "wrong_app_id" => (
            "密文属于另一个 AppID：可能把别的小程序的推送地址填成了这个。",
            "it was encrypted for another AppID: perhaps another mini program has this address.",
        ),
        "weaker_mode" => (
            "加密方式不符：微信后台用的是明文或兼容模式，这里设置的是更安全的方式。请在微信后台改成这里的方式，或修改这里的设置。",
            "the mode does not match: WeChat's is weaker than the one set here. Set the same in both places.",
        ),
        "missing_parameter" => (
            "缺少参数：不是微信发来的请求，或中间的代理丢掉了网址中 ? 后面的部分。",
            "parameters are missing: it was not WeChat's, or a proxy in between dropped what follows the ?.",
        ),
        _ => (
            "密文无法解开：EncodingAESKey 不一致，或内容损坏。请重新复制粘贴 EncodingAESKey。",
            "it cannot be decrypted: the EncodingAESKey differs, or the content is damaged. Copy the key once more.",
        ),
    }
}

/// An arrival of the last minutes is news to somebody who waits for it.
pub fn is_news(arrival: &Arrival, now: Millis) -> bool {
    now - arrival.at < 10 * MINUTE && arrival.at <= now + HOUR
}

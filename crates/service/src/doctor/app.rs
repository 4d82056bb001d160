//! An app's connection to WeChat: secret, token, templates, callbacks, clock, gate, quota. Also what the guide shows beside its steps.

use domain::Millis;
use domain::clock::{DAY, HOUR, MINUTE};
use wechat::Lang;
use wechat::client::CallError;

use super::{Checks, Text, Verdict, text};
use crate::arrivals::Arrival;
use crate::templates::token_problem;
use crate::tokens::TokenError;
use crate::view::time;
use crate::{App, Service};

/// Further apart than this (seconds), WeChat's clock and ours lead to trouble.
const SKEW: i64 = 120;
/// Templates that nobody has read for so long.
const OLD: Millis = 2 * DAY;

impl Service {
    /// The quick checks; tells whether there is an access token.
    pub(super) async fn check_connection_into(&self, app: &App, checks: &mut Checks) -> bool {
        check_secret(app, checks);
        let token = self.check_token(app, checks).await;
        self.check_templates(app, token, checks).await;
        self.check_callbacks(app, checks).await;
        self.check_clock(app, checks);
        self.check_gate(app, checks).await;
        if token {
            self.check_quota(app, checks).await;
        }
        token
    }

    async fn check_token(&self, app: &App, checks: &mut Checks) -> bool {
        let titles = ("获取 access_token", "Access token");
        let error = match self.tokens.get(app).await {
            Ok(_) => {
                let (age, left) = self.token_times(app).await.unwrap_or_default();
                let (age, left) = (age / MINUTE, left / MINUTE);
                checks.ok(
                    "token",
                    titles,
                    (
                        format!("可以取得，AppSecret 正确，IP 已放行；已用 {age} 分钟，还有 {left} 分钟到期。"),
                        format!("There is one: the AppSecret is right, and our address is allowed. It is {age} minutes old and ends in {left}."),
                    ),
                );
                return true;
            }
            Err(error) => error,
        };
        let (detail, mut remedy) = match &error {
            TokenError::Call(call) if let CallError::WeChat { errcode, errmsg } = &**call => {
                said_by_wechat(*errcode, errmsg)
            }
            TokenError::Store(_) => {
                checks.unanswered("token", titles);
                return false;
            }
            _ => {
                let problem = token_problem(&error);
                let remedy = text(
                    "检查本机能否访问微信接口（出站 443 端口、代理、DNS），或自有 token 服务是否正常。",
                    "See whether this machine reaches WeChat (port 443 outwards, proxy, DNS), or whether your token server works.",
                );
                ((problem.zh, problem.en), remedy)
            }
        };
        if let TokenError::Call(call) = &error
            && let CallError::WeChat { errcode: 40164, errmsg } = &**call
            && let Some(ip) = wechat::errcode::ip(errmsg)
        {
            remedy.0.push_str(&format!(" 要加入白名单的 IP：{ip}"));
            remedy.1.push_str(&format!(" The address to add: {ip}"));
        }
        checks.fail("token", titles, detail, remedy);
        false
    }

    /// How old the app's token is, and how long it lasts.
    async fn token_times(&self, app: &App) -> Option<(Millis, Millis)> {
        let token = self.store.token(app.number).await.ok().flatten()?;
        let now = self.now();
        Some(((now - token.obtained_at).max(0), (token.expires_at - now).max(0)))
    }

    async fn check_templates(&self, app: &App, token: bool, checks: &mut Checks) {
        let titles = ("订阅消息模板", "Templates");
        let Ok(mut templates) = self.templates(app).await else {
            return checks.unanswered("templates", titles);
        };
        if templates.is_empty() && token {
            templates = self.sync_templates(app).await.unwrap_or_default();
        }
        let there = templates.iter().filter(|template| !template.gone).count();
        let synced = templates.iter().filter_map(|template| template.synced_at).max();
        if there == 0 {
            let verdict = if token { Verdict::Warn } else { Verdict::Skipped };
            let detail = text("没有模板。", "There are none.");
            let remedy = text(
                "在微信公众平台 → 功能 → 订阅消息里选用，或在这里的“模板”页选用，然后同步。",
                "Choose some at WeChat (功能 → 订阅消息) or on the page of templates here, then sync.",
            );
            checks.add("templates", titles, verdict, detail, Some(remedy));
        } else if synced.is_none_or(|at| self.now() - at > OLD) {
            let at = synced.map(time).unwrap_or_default();
            checks.warn(
                "templates",
                titles,
                (
                    format!("有 {there} 个，但很久没有与微信核对过（{at}）。"),
                    format!("There are {there}, but they were not compared with WeChat's for long ({at})."),
                ),
                (
                    format!("运行 hongyan templates sync {}，并查看服务是否在运行。", app.app_id),
                    format!("Run `hongyan templates sync {}`, and see whether the service runs.", app.app_id),
                ),
            );
        } else {
            checks.ok("templates", titles, (format!("有 {there} 个。"), format!("There are {there}.")));
        }
    }

    async fn check_callbacks(&self, app: &App, checks: &mut Checks) {
        let titles = ("微信推送（回调）", "Callbacks");
        let arrivals = self.arrivals(app);
        let Ok(last) = self.last_callback(app).await else {
            return checks.unanswered("callbacks", titles);
        };
        let good = arrivals.iter().find(|arrival| arrival.refused.is_none());
        let refused = arrivals
            .iter()
            .find(|arrival| arrival.refused.is_some())
            .filter(|bad| good.is_none_or(|good| good.at <= bad.at) && last.is_none_or(|at| at <= bad.at));
        if let Some(Arrival { at, refused: Some(reason), .. }) = refused {
            let (zh, en) = refusal(reason);
            let at = time(*at);
            return checks.fail(
                "callbacks",
                titles,
                (format!("最近一次（{at}）被拒绝：{zh}"), format!("The latest ({at}) was refused: {en}")),
                text(
                    "按上面的说明核对微信后台“消息推送”与这里的设置，再提交一次。",
                    "Compare 消息推送 at WeChat with the settings here as said above, and submit again.",
                ),
            );
        }
        match last.into_iter().chain(good.map(|good| good.at)).max() {
            None => checks.warn(
                "callbacks",
                titles,
                text("还没有收到过。", "None has come yet."),
                text(
                    "若已在微信后台提交：检查域名解析、安全组与防火墙的 80/443 端口、备案、HTTPS 证书链，且不能跳转。",
                    "If it was submitted at WeChat: look at DNS, security group and firewall (ports 80 and 443), filing (备案), the certificate chain, and redirects.",
                ),
            ),
            Some(at) if self.now() - at > 7 * DAY => checks.warn(
                "callbacks",
                titles,
                (
                    format!("最近一次在 {}，已超过 7 天。", time(at)),
                    format!("The latest came on {}, more than 7 days ago.", time(at)),
                ),
                text(
                    "用一个测试用户在小程序里订阅一次；若仍收不到，核对微信后台的推送 URL。",
                    "Subscribe once as a test user; if nothing comes, look at the push URL at WeChat.",
                ),
            ),
            Some(at) => checks.ok(
                "callbacks",
                titles,
                (format!("最近一次在 {}。", time(at)), format!("The latest came on {}.", time(at))),
            ),
        }
        let titles = ("消息加解密方式", "Mode");
        if good.is_some_and(|good| good.stronger_mode) {
            let mode = app.mode();
            checks.warn(
                "mode",
                titles,
                (
                    format!("微信用的方式比这里设置的（{mode}）更强，已正常接收。"),
                    format!("WeChat uses a stronger mode than is set here ({mode}); they are taken."),
                ),
                text("把这里的设置改成与微信后台一致。", "Set the same here as at WeChat."),
            );
        } else if good.is_some_and(|good| !good.verification) {
            checks.ok("mode", titles, text("与微信后台一致。", "The same as at WeChat."));
        }
    }

    fn check_clock(&self, app: &App, checks: &mut Checks) {
        let titles = ("与微信的时间差", "Clock, against WeChat's");
        let skew = self.arrivals(app).iter().find_map(|arrival| arrival.skew_seconds);
        match skew {
            Some(skew) if skew.abs() > SKEW => checks.fail(
                "clock",
                titles,
                (
                    format!("与微信的时间相差 {skew} 秒，推送会因过期被搁置。"),
                    format!("It is {skew} seconds from WeChat's; pushes will be set aside as stale."),
                ),
                text(
                    "开启时间同步（timedatectl set-ntp true）。",
                    "Switch time synchronisation on (timedatectl set-ntp true).",
                ),
            ),
            Some(skew) => checks.ok(
                "clock",
                titles,
                (format!("与微信相差 {skew} 秒。"), format!("{skew} seconds from WeChat's.")),
            ),
            None => checks.skip(
                "clock",
                titles,
                text(
                    "本进程收到微信推送后才能比较。",
                    "It can be compared once this process has got a callback.",
                ),
            ),
        }
    }

    async fn check_gate(&self, app: &App, checks: &mut Checks) {
        let titles = ("发送", "Sending");
        match self.store.gate(app.number).await {
            Ok(None) => checks.ok("sending", titles, text("没有被拦下。", "Nothing holds it up.")),
            Ok(Some(gate)) if gate.reason == store::restored::RESTORED => {
                let why = |lang| crate::restored::gate_text(&gate, lang);
                let remedy = text(
                    "核对恢复之后状态未知的消息与暂停的群发，再执行 hongyan release。",
                    "Look through the unknown messages and paused campaigns since the restore, then run `hongyan release`.",
                );
                checks.fail("sending", titles, (why(Lang::Zh), why(Lang::En)), remedy);
            }
            Ok(Some(gate)) => {
                let (detail, remedy) = match gate.errcode {
                    0 => (
                        (gate.detail.clone(), gate.detail.clone()),
                        text(
                            "需要时调高每日预算（daily_budget）。",
                            "Raise daily_budget where more is to be sent.",
                        ),
                    ),
                    code => said_by_wechat(code, &gate.detail),
                };
                let (since, retry) = (time(gate.closed_at), time(gate.retry_at));
                checks.fail(
                    "sending",
                    titles,
                    (
                        format!("自 {since} 起已暂停：{} {retry} 自动再试。", detail.0),
                        format!("It stands still since {since}: {} It is tried again at {retry}.", detail.1),
                    ),
                    remedy,
                );
            }
            Err(_) => checks.unanswered("sending", titles),
        }
    }

    async fn check_quota(&self, app: &App, checks: &mut Checks) {
        let titles = ("调用额度", "Quota");
        match self.quota(app).await {
            Ok(quota) => {
                let (used, limit, left) = (quota.used, quota.daily_limit, quota.remain);
                let detail = (
                    format!("今日已用 {used} / {limit}，还剩 {left}。"),
                    format!("{used} of {limit} calls are used today, {left} are left."),
                );
                let remedy = text(
                    "把不急的任务移到明天；确有需要可清零（每月 10 次）：hongyan quota --clear。",
                    "Move what can wait to tomorrow; `hongyan quota --clear` sets it back (ten times a month).",
                );
                if limit > 0 && left <= 0 {
                    checks.fail("quota", titles, detail, remedy);
                } else if limit > 0 && used * 10 >= limit * 9 {
                    checks.warn("quota", titles, detail, remedy);
                } else {
                    checks.ok("quota", titles, detail);
                }
            }
            Err(problem) => checks.skip("quota", titles, (problem.zh, problem.en)),
        }
    }
}

fn check_secret(app: &App, checks: &mut Checks) {
    let titles = ("AppID 与 AppSecret", "AppID and AppSecret");
    if app.has_secret() || app.token_source.is_url() {
        checks.ok("secret", titles, text("已填写。", "Given."));
    } else {
        checks.fail(
            "secret",
            titles,
            text("还没有填写 AppSecret。", "There is no AppSecret yet."),
            text(
                "在微信公众平台 → 管理 → 开发管理 → 开发设置里生成，填到小程序设置中。",
                "Generate it at WeChat (管理 → 开发管理 → 开发设置) and put it into the app's settings.",
            ),
        );
    }
}

/// What an errcode means, and what to do.
pub(super) fn said_by_wechat(errcode: i64, errmsg: &str) -> (Text, Text) {
    match wechat::errcode::lookup(errcode) {
        Some(entry) => (
            (
                format!("{}（微信错误码 {errcode}）", entry.meaning_zh),
                format!("{} (WeChat's errcode {errcode})", entry.meaning_en),
            ),
            text(entry.remedy_zh, entry.remedy_en),
        ),
        None => (
            (
                wechat::errcode::explain(errcode, errmsg, Lang::Zh),
                wechat::errcode::explain(errcode, errmsg, Lang::En),
            ),
            text("在微信官方文档中查该错误码。", "Look the code up in WeChat's documentation."),
        ),
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

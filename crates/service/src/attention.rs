//! What needs somebody: closed gates, paused campaigns, approvals, changed templates, set-aside callbacks, each with what to do
//! about it. Shown by the console's overview, the list of apps, and the API.

use domain::campaign::CampaignState;
use domain::clock::{DAY, HOUR};
use serde::Serialize;
use store::happened::What;
use wechat::{Lang, errcode};

use crate::doctor::Verdict;
use crate::problem::Problem;
use crate::statistics::{By, Totals};
use crate::{App, Service};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is sent, or something is lost.
    Alarm,
    /// Somebody should look.
    Warning,
    /// Good to know.
    Note,
}

/// Something that needs somebody.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Attention {
    /// In a word.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What, and what to do.
    pub text: String,
    /// What it is about: a campaign's, a template's or a webhook's id.
    pub target: Option<String>,
}

/// Campaigns that are looked at, from the newest on.
const LOOKED_AT: i64 = 50;
/// Of a budget, before it is said.
const NEARLY: f64 = 0.8;
/// Without any callback for so long while messages go out.
const SILENT: i64 = 6 * HOUR;

impl Service {
    /// What needs somebody in an app, the worst first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn attention(&self, app: &App, lang: Lang) -> Result<Vec<Attention>, Problem> {
        let now = self.now();
        let mut all = Vec::new();
        let say = |zh: String, en: String| match lang {
            Lang::Zh => zh,
            Lang::En => en,
        };
        let mut add = |code, severity, text, target| all.push(Attention { code, severity, text, target });
        if let Some(gate) = self.store.gate(app.number).await? {
            let text = crate::restored::gate_text(&gate, lang);
            add(
                "gate_closed",
                Severity::Alarm,
                say(format!("已暂停发送：{text}"), format!("Nothing is sent: {text}")),
                None,
            );
        }
        for stored in self.store.campaigns(app.number, None, LOOKED_AT).await? {
            let (name, id) = (&stored.asked.name, Some(stored.asked.id.to_string()));
            match (stored.state, &stored.paused_because) {
                (CampaignState::AwaitingApproval, _) => add(
                    "awaiting_approval",
                    Severity::Warning,
                    say(
                        format!("“{name}”待审批：需要创建者以外的一位成员通过。"),
                        format!("\"{name}\" awaits approval by somebody other than its creator."),
                    ),
                    id,
                ),
                (CampaignState::Paused, Some(because)) if !by_hand(because) => {
                    let why = paused_because(because, lang);
                    add(
                        "campaign_paused",
                        Severity::Warning,
                        say(format!("“{name}”已自动暂停：{why}"), format!("\"{name}\" was paused: {why}")),
                        id,
                    );
                }
                _ => {}
            }
        }
        let templates = self.templates(app).await?;
        for template in &templates {
            if let Some(difference) = &template.difference {
                add(
                    "template_changed",
                    Severity::Warning,
                    say(
                        format!(
                            "模板“{}”的字段变了（{difference}），用到它的任务已暂停，请核对内容。",
                            template.title
                        ),
                        format!(
                            "The fields of \"{}\" have changed ({difference}); campaigns that use it are paused. Check their texts.",
                            template.title
                        ),
                    ),
                    Some(template.id.clone()),
                );
            }
        }
        if templates.is_empty() {
            add(
                "no_templates",
                Severity::Warning,
                say(
                    "还没有模板：先同步，或到公共模板库选用。".into(),
                    "There are no templates yet: sync, or choose from the public library.".into(),
                ),
                None,
            );
        }
        let day = self.statistics(app, now - DAY, now + HOUR, By::Day).await?;
        let totals = Totals::sum(day.iter().map(|stretch| &stretch.totals));
        if totals.quarantined > 0 {
            add(
                "quarantined",
                Severity::Warning,
                say(
                    format!("24 小时内有 {} 条微信推送被搁置，请查看原因后重新处理。", totals.quarantined),
                    format!(
                        "{} callbacks were set aside within 24 hours; look why, and replay them.",
                        totals.quarantined
                    ),
                ),
                None,
            );
        }
        let last = self.last_callback(app).await?;
        if totals.sent > 0 && last.is_none_or(|at| now - at > SILENT) {
            add(
                "no_callbacks",
                Severity::Alarm,
                say(
                    "有消息发出，却没有收到微信推送：送达回执和订阅事件会丢失。请检查消息推送的 URL。".into(),
                    "Messages go out, but no callbacks come in: receipts and subscriptions are missed. Check the push URL.".into(),
                ),
                None,
            );
        }
        if let Some(budget) = app.settings.daily_budget {
            let taken = self.store.budget_taken(app.number, &crate::quota::day(now)).await?;
            if taken as f64 >= f64::from(budget) * NEARLY {
                add(
                    "budget",
                    Severity::Warning,
                    say(
                        format!("今日发送预算已用 {taken} / {budget}。"),
                        format!("{taken} of today's budget of {budget} are used."),
                    ),
                    None,
                );
            }
        }
        for webhook in self.store.webhooks().await? {
            if !webhook.enabled && webhook.app.is_none_or(|of| of == app.number) {
                add(
                    "webhook_disabled",
                    Severity::Warning,
                    say(
                        format!("事件通知 {} 已停用。", webhook.url),
                        format!("The webhook {} is disabled.", webhook.url),
                    ),
                    Some(webhook.id.to_string()),
                );
            }
        }
        if let Some(seen) = self.certificate_seen().filter(|seen| seen.alarms()) {
            let severity = if seen.verdict == Verdict::Fail { Severity::Alarm } else { Severity::Warning };
            let (zh, en) = (seen.text(Lang::Zh), seen.text(Lang::En));
            add(
                "certificate",
                severity,
                say(format!("public_url 的证书：{zh}"), format!("The certificate of public_url: {en}")),
                None,
            );
        }
        if app.settings.trial {
            add(
                "trial",
                Severity::Note,
                say("试发模式：只有试发名单里的人会收到。".into(), "On trial: only guests receive.".into()),
                None,
            );
        }
        all.sort_by_key(|one| one.severity);
        Ok(all)
    }
}

/// An app from afar.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// The AppID.
    pub app_id: String,
    /// Its name.
    pub name: String,
    /// Messages that WeChat took in the last 24 hours.
    pub sent: i64,
    /// Those that failed for good.
    pub failed: i64,
    /// How much needs somebody at once.
    pub alarms: usize,
    /// How much somebody should look at.
    pub warnings: usize,
}

impl Service {
    /// How all apps are, those that need somebody first: the counts of [`Service::attention`] without its texts, and without
    /// asking for each app by itself.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn health(&self) -> Result<Vec<Health>, Problem> {
        let now = self.now();
        let mut all = self.store.signs(now - DAY, &crate::quota::day(now)).await?;
        let webhooks = self.store.webhooks().await?;
        let certificate = self.certificate_seen().map(|seen| seen.verdict);
        let (ended, ends) = (certificate == Some(Verdict::Fail), certificate == Some(Verdict::Warn));
        let apps = self.apps.all();
        let mut health: Vec<Health> = apps
            .iter()
            .map(|app| {
                let signs = all.remove(&app.number).unwrap_or_default();
                let of = |what| signs.happened.get(&what).copied().unwrap_or(0);
                let silent = signs.last_callback.is_none_or(|at| now - at > SILENT);
                let alarms = [signs.gate_closed, of(What::Sent) > 0 && silent, ended];
                let nearly = app
                    .settings
                    .daily_budget
                    .is_some_and(|budget| signs.budget_taken as f64 >= f64::from(budget) * NEARLY);
                let warnings =
                    [signs.templates == 0, of(What::CallbackQuarantined) > 0, nearly, ends].map(usize::from);
                let paused = signs.paused_because.iter().filter(|because| !by_hand(because)).count();
                let disabled = webhooks
                    .iter()
                    .filter(|webhook| !webhook.enabled && webhook.app.is_none_or(|of| of == app.number));
                let some = |n: i64| usize::try_from(n).unwrap_or(0);
                Health {
                    app_id: app.app_id.clone(),
                    name: app.name.clone(),
                    sent: of(What::Sent),
                    failed: of(What::Failed),
                    alarms: alarms.map(usize::from).iter().sum(),
                    warnings: warnings.iter().sum::<usize>()
                        + paused
                        + disabled.count()
                        + some(signs.awaiting_approval)
                        + some(signs.templates_changed),
                }
            })
            .collect();
        health.sort_by(|a, b| (b.alarms, b.warnings, &a.name).cmp(&(a.alarms, a.warnings, &b.name)));
        Ok(health)
    }
}

/// Whether somebody paused it, and knows.
pub fn by_hand(because: &str) -> bool {
    ["operator:", "key:", "cli:"].iter().any(|who| because.starts_with(who))
}

/// Why a campaign was paused, in words.
pub fn paused_because(because: &str, lang: Lang) -> String {
    let (code, rest) = because.split_once(' ').unwrap_or((because, ""));
    if let Ok(code) = code.parse::<i64>() {
        return errcode::explain(code, rest, lang);
    }
    let (zh, en) = match code.trim_end_matches(':') {
        "template_gone" => {
            ("模板已在微信后台删除".to_owned(), "the template was deleted at WeChat".to_owned())
        }
        "template_changed" => {
            (format!("模板字段变了（{rest}）"), format!("the template's fields have changed ({rest})"))
        }
        "window" => (
            format!("不在发送时段，{rest} 继续"),
            format!("outside the sending window; it goes on at {rest}"),
        ),
        "restored" => (
            "数据库由备份恢复：之后可能已发送过，请核对后继续或取消".to_owned(),
            "the database was restored: it may have gone on since; check, then resume or cancel".to_owned(),
        ),
        "misfire" => {
            ("错过了预定时间，等你决定".to_owned(), "its time was missed; somebody decides".to_owned())
        }
        _ => (because.to_owned(), because.to_owned()),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

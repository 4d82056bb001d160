//! `hongyan simulator faults`: sets, shows and clears what goes wrong at a running simulator, over its control API.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use simulator::api::{FaultEntry, FaultRule, FaultScript, FaultsView};

use crate::cli::{Faults, Global, Running};
use crate::http::{Http, Reply};
use crate::locale::say;
use crate::output;

pub(super) async fn run(global: &Global, command: Faults) -> anyhow::Result<()> {
    match command {
        Faults::Set { file, at } => {
            let script = serde_json::to_value(read(&file)?)?;
            let app = Target::of(&at).await?;
            show(global, &app.call("PUT", "/faults", Some(&script)).await?)
        }
        Faults::Show { at } => show(global, &Target::of(&at).await?.call("GET", "/faults", None).await?),
        Faults::Log { limit, at } => {
            let path = format!("/faults/log?limit={limit}");
            log(global, &Target::of(&at).await?.call("GET", &path, None).await?)
        }
        Faults::Clear { at } => {
            Target::of(&at).await?.call("DELETE", "/faults", None).await?;
            output::remark(say("故障已全部清除。", "Nothing goes wrong any more."));
            Ok(())
        }
    }
}

/// A script from a file or, for `-`, from standard input: JSON where it begins with a brace, else TOML.
pub(super) fn read(file: &Path) -> anyhow::Result<FaultScript> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let shown = file.display();
    let text =
        text.with_context(|| format!("{} {shown}", say("读不到故障脚本", "cannot read the fault script")))?;
    let wrong = || format!("{} {shown}", say("故障脚本有误：", "the fault script is wrong:"));
    if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).with_context(wrong)
    } else {
        toml::from_str(&text).with_context(wrong)
    }
}

/// One app at a running simulator.
struct Target {
    http: Http,
    url: String,
}

impl Target {
    async fn of(at: &Running) -> anyhow::Result<Self> {
        let (http, base) = (Http::new(), at.at.trim_end_matches('/'));
        let app = match &at.app {
            Some(app) => app.clone(),
            None => {
                let reply = answered(&http, "GET", &format!("{base}/_sim/apps"), None).await?;
                let apps: simulator::api::AppList = serde_json::from_value(reply)?;
                match apps.items.as_slice() {
                    [only] => only.appid.clone(),
                    [] => bail!("{base}{}", say(" 上还没有小程序", " has no mini program yet")),
                    several => {
                        let names: Vec<&str> = several.iter().map(|app| app.appid.as_str()).collect();
                        let text = say(
                            "上有多个小程序，请用 --app 选一个：",
                            "has several mini programs; choose one with --app:",
                        );
                        bail!("{base} {text} {}", names.join(" "))
                    }
                }
            }
        };
        Ok(Self { http, url: format!("{base}/_sim/apps/{app}") })
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        answered(&self.http, method, &format!("{}{path}", self.url), body).await
    }
}

/// The answer of a control call, or why there is none.
async fn answered(http: &Http, method: &str, url: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    let Reply { status, body } = http.call(method, url, &[], body).await.with_context(|| {
        format!("{} {url}", say("连不上模拟器，请检查 --at：", "No simulator answers; check --at:"))
    })?;
    match (status, body["error"].as_str()) {
        (200..300, _) => Ok(body),
        (_, Some(error)) => bail!("{error}"),
        (_, None) => bail!("{url}: HTTP {status}"),
    }
}

fn show(global: &Global, view: &Value) -> anyhow::Result<()> {
    if global.json {
        output::json(view);
        return Ok(());
    }
    let view: FaultsView = serde_json::from_value(view.clone())?;
    if view.rules.is_empty() {
        output::remark(say("没有故障规则。", "No rules: nothing goes wrong."));
        return Ok(());
    }
    let mut rows = Vec::new();
    for (rule, state) in view.rules.iter().zip(&view.states) {
        rows.push(vec![
            word(&json!(rule.on)),
            rule.fault.name().to_owned(),
            details(rule)?,
            state.seen.to_string(),
            state.fired.to_string(),
        ]);
    }
    let headings = match crate::locale::lang() {
        service::Lang::Zh => ["对象", "故障", "条件", "经过", "触发"],
        service::Lang::En => ["ON", "FAULT", "WHEN", "SEEN", "STRUCK"],
    };
    output::table(&headings, &rows);
    output::line(&format!("seed {}", view.seed));
    Ok(())
}

/// What a rule says besides its first two words, as it says it.
fn details(rule: &FaultRule) -> anyhow::Result<String> {
    let Value::Object(mut rule) = serde_json::to_value(rule)? else { return Ok(String::new()) };
    rule.remove("on");
    rule.remove("fault");
    let words = rule.iter().map(|(name, value)| format!("{name}={}", word(value)));
    Ok(words.collect::<Vec<_>>().join(" "))
}

fn log(global: &Global, records: &Value) -> anyhow::Result<()> {
    if global.json {
        output::json(records);
        return Ok(());
    }
    let entries: Vec<FaultEntry> = serde_json::from_value(records["items"].clone())?;
    let mut rows = Vec::new();
    for entry in &entries {
        let time = jiff::Timestamp::from_millisecond(entry.at).map(|at| at.to_string()).unwrap_or_default();
        let effect = match (entry.effect, entry.ambiguous) {
            (None, _) => "-",
            (Some(true), true) => say("已生效，对方不知", "took effect, caller unsure"),
            (Some(true), false) => say("已生效", "took effect"),
            (Some(false), true) => say("未生效，对方不知", "no effect, caller unsure"),
            (Some(false), false) => say("未生效", "no effect"),
        };
        rows.push(vec![
            time,
            word(&json!(entry.on)),
            entry.fault.name().to_owned(),
            effect.to_owned(),
            entry.openid.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let headings = match crate::locale::lang() {
        service::Lang::Zh => ["时间", "对象", "故障", "结果", "用户"],
        service::Lang::En => ["TIME", "ON", "FAULT", "OUTCOME", "OPENID"],
    };
    output::table(&headings, &rows);
    Ok(())
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

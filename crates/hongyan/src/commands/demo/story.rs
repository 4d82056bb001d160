//! The loop, step by step. A step is told only after both sides were asked what they saw.

use anyhow::{Context, ensure};
use domain::entropy::random_bytes;
use serde_json::{Value, json};
use wechat::callback::crypto::EncodingAesKey;

use super::narrator::Narrator;
use super::stage::Stage;
use crate::locale::say;

pub(super) const FEE_NOTICE: &str = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ";
const REPAIR_ORDER: &str = "3gMbhH_bFuZlXiaJffCqXlNoqKvJwz_zUSmr-z1jEyo";
const USER: &str = simulator::SAMPLE_OPENID;

pub(super) async fn play(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    connect(stage, narrator).await?;
    subscribe(stage, narrator).await?;
    let messages = send(stage, narrator).await?;
    receive(stage, narrator, &messages).await?;
    refuse(stage, narrator).await?;
    compare(stage, narrator).await
}

/// The app is registered on both sides, and WeChat verifies the address.
async fn connect(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let app = simulator::sample_app();
    let entropy = domain::SystemEntropy::new()?;
    let token = hex(&random_bytes::<16>(&entropy));
    let aes_key = EncodingAesKey::from_random(random_bytes(&entropy));
    let registered = stage
        .api(
            201,
            "PUT",
            "",
            Some(&json!({ "name": app.name, "secret": app.secret, "callback_token": token, "aes_key": aes_key.expose(),
                "callback_mode": "safe", "callback_format": "json", "api_base_url": stage.simulator_url })),
        )
        .await?;
    narrator.seen("已登记小程序（安全模式，JSON）", "A mini program is registered (safe mode, JSON)");
    narrator.detail(&format!("{} {}", registered["app_id"].as_str().unwrap_or_default(), app.name));

    let mut spec = serde_json::to_value(&app)?;
    spec["mini_program"] = json!(stage.mini_program());
    spec["callback"] = json!({ "url": format!("{}{}", stage.service_url, registered["callback_path"].as_str().unwrap_or_default()),
        "token": token, "aes_key": aes_key.expose(), "mode": "safe", "format": "json" });
    stage.wechat("PUT", "", Some(&spec)).await?;
    let verified = stage.wechat("POST", "/verify", None).await?;
    ensure!(verified["ok"] == true, "the verification failed: {verified}");
    narrator.seen(
        "微信验证了服务器地址（GET，原样返回 echostr）",
        "WeChat verified the callback address (GET, echostr answered)",
    );
    narrator.detail(&format!("echostr {}", verified["body"].as_str().unwrap_or_default()));

    let templates = stage.api(200, "POST", "/templates/sync", None).await?;
    let titles: Vec<String> =
        items(&templates).iter().map(|template| text(template, "title").to_owned()).collect();
    ensure!(titles.len() == 2, "two templates were expected: {templates}");
    narrator
        .seen("已取得 access_token 并同步模板", "An access token was obtained and the templates are synced");
    narrator.detail(&titles.join("、"));
    Ok(())
}

/// The user accepts two templates; the encrypted event changes the ledger.
async fn subscribe(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    stage.wechat("POST", "/users", Some(&json!({ "openid": USER, "nickname": "张三" }))).await?;
    let popup = json!({ "decisions": { FEE_NOTICE: "accept", REPAIR_ORDER: "accept" } });
    stage.wechat("POST", &format!("/users/{USER}/popup"), Some(&popup)).await?;
    narrator.seen("用户在弹窗里同时允许了两个模板", "A user accepts two templates in the popup");

    let callback = stage
        .until(
            "the popup event",
            || stage.api(200, "GET", "/callbacks", None),
            |callbacks| {
                items(callbacks)
                    .iter()
                    .find(|row| row["kind"] == "popup" && row["verdict"] == "applied")
                    .cloned()
            },
        )
        .await?;
    let pushed = stage
        .until(
            "the answer to the push",
            || stage.wechat("GET", "/records?kind=callbacks", None),
            |records| {
                items(records).iter().find(|row| row["status"] == 200 && row["body"] == "success").cloned()
            },
        )
        .await?;
    narrator.seen(
        "加密事件已到达：验签、解密、落库，并回答 success",
        "The encrypted event arrived: verified, decrypted, stored, answered success",
    );
    narrator.detail(&format!("{}  {} ms", callback["id"].as_str().unwrap_or_default(), pushed["latency_ms"]));

    let subscriptions = stage.api(200, "GET", &format!("/subscriptions?openid={USER}"), None).await?;
    let balances: Vec<_> = items(&subscriptions).iter().map(|row| row["balance"].clone()).collect();
    ensure!(balances == [json!(1), json!(1)], "one grant per template was expected: {subscriptions}");
    let ledger = stage.api(200, "GET", &format!("/ledger?openid={USER}"), None).await?;
    ensure!(
        items(&ledger).iter().all(|entry| entry["evidence"]["reference"] == callback["id"]),
        "wrong evidence: {ledger}"
    );
    narrator.seen(
        "次数明细：每个模板 1 次，依据是这条事件",
        "The ledger shows one grant per template, with the event as evidence",
    );
    Ok(())
}

/// Two notices through the REST interface.
async fn send(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<Vec<String>> {
    let fee = json!({ "to": USER, "template_id": FEE_NOTICE, "page": "pages/index?bill=2026-11",
        "data": { "thing8": "物业费", "thing5": "请于本月底前缴纳" } });
    let repair = json!({ "to": USER, "template_id": REPAIR_ORDER, "page": "pages/index",
        "data": { "thing1": "幸福物业", "thing4": "3 栋 1201", "name2": "张三", "phone_number3": "0571-88886666", "thing19": "厨房水管漏水" } });
    let mut ids = Vec::new();
    for (zh, en, body) in [
        ("收费通知已发出，微信已受理", "The fee notice was sent and WeChat took it", fee),
        ("工单通知已发出，微信已受理", "The repair order was sent and WeChat took it", repair),
    ] {
        let message = stage.api(200, "POST", "/messages", Some(&body)).await?;
        let state = message["state"].as_str().unwrap_or_default();
        ensure!(matches!(state, "accepted" | "delivered"), "WeChat did not take it: {message}");
        let id = message["id"].as_str().context("a message has an id")?.to_owned();
        narrator.seen(zh, en);
        narrator.detail(&format!("{id}  msgid {}", message["msgid"].as_str().unwrap_or("-")));
        ids.push(id);
    }
    Ok(ids)
}

/// The cards are on the phone, and WeChat's receipts end the messages.
async fn receive(stage: &Stage, narrator: &mut Narrator, messages: &[String]) -> anyhow::Result<()> {
    let phone = stage.wechat("GET", &format!("/users/{USER}"), None).await?;
    let cards = phone["cards"].as_array().cloned().unwrap_or_default();
    ensure!(cards.len() == 2, "two cards were expected on the phone: {phone}");
    narrator.seen("模拟手机收到两张消息卡片", "The simulated phone shows both cards");
    for card in &cards {
        let fields: Vec<_> = items_of(card, "fields")
            .iter()
            .map(|field| format!("{}: {}", text(field, "label"), text(field, "value")))
            .collect();
        narrator.detail(&format!("【{}】{}", text(card, "title"), fields.join("，")));
    }
    for id in messages {
        let path = format!("/messages/{id}");
        let message = stage
            .until(
                "the receipt",
                || stage.api(200, "GET", &path, None),
                |message| (message["state"] == "delivered").then(|| message.clone()),
            )
            .await?;
        ensure!(message["receipt"]["error_code"] == 0, "a good receipt was expected: {message}");
    }
    narrator.seen(
        "送达回执已返回，两条消息均为 delivered（已送达）",
        "The sent events came back; both messages are delivered",
    );
    Ok(())
}

/// A third notice: the grant is spent.
async fn refuse(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let body = json!({ "to": USER, "template_id": FEE_NOTICE, "data": { "thing8": "水费", "thing5": "第二次通知" } });
    let message = stage.api(200, "POST", "/messages", Some(&body)).await?;
    ensure!(
        message["state"] == "refused" && message["errcode"] == 43101,
        "a refusal (43101) was expected: {message}"
    );
    narrator.seen(
        "第三条被微信拒绝：refused（43101，无可用次数）",
        "The third notice ends refused (43101, no usable grant)",
    );
    narrator.detail(message["explanation"].as_str().unwrap_or_default());
    Ok(())
}

/// The books here against the simulator's own records.
async fn compare(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let counters = stage.wechat("GET", "/counters", None).await?;
    ensure!(
        counters["sends"] == json!({ "0": 2, "43101": 1 }) && counters["send_calls"] == 3,
        "WeChat's side counted other calls: {counters}"
    );
    // The popup and two receipts, each taken at the first try.
    stage
        .until(
            "three callbacks",
            || stage.wechat("GET", "/counters", None),
            |counters| {
                (counters["callbacks_delivered"] == 3 && counters["callback_attempts"] == 3).then_some(())
            },
        )
        .await?;
    let subscriptions = stage.api(200, "GET", &format!("/subscriptions?openid={USER}"), None).await?;
    ensure!(
        items(&subscriptions).iter().all(|row| row["balance"] == 0),
        "no grant should be left: {subscriptions}"
    );
    narrator.seen(
        "对账：3 次调用、3 次推送、余额为 0，与模拟微信的记录一致",
        "The books agree with WeChat's side: 3 calls, 3 callbacks, no grant left",
    );
    narrator.detail(say("每一步都已向两边核实。", "Each step was checked on both sides."));
    Ok(())
}

fn items(list: &Value) -> Vec<Value> {
    items_of(list, "items")
}

fn items_of(value: &Value, name: &str) -> Vec<Value> {
    value[name].as_array().cloned().unwrap_or_default()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

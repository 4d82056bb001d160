//! Sends: every wrong field is named with its pointer, in both languages, and nothing is taken.

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use crate::http::call;
use crate::world::{FEE, USER, World};

/// A name, what is sent, and the pointer and code of each error, in order.
type Case = (&'static str, Value, Vec<(&'static str, &'static str)>);

fn cases() -> Vec<Case> {
    let with = |changes: Value| {
        let mut body =
            json!({ "to": USER, "template_id": FEE, "data": { "thing8": "物业费", "thing5": "请及时缴纳" } });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let data = |data: Value| with(json!({ "data": data }));
    let twenty_one = "二十一个字的内容二十一个字的内容二十一个字";
    assert_eq!(twenty_one.chars().count(), 21);
    let openid = ("/to", "invalid_openid");
    vec![
        (
            "an unknown template",
            with(json!({ "template_id": "no-such-template" })),
            vec![("/template_id", "unknown_template")],
        ),
        ("an empty template", with(json!({ "template_id": "" })), vec![("/template_id", "unknown_template")]),
        ("a missing field", data(json!({ "thing8": "物业费" })), vec![("/data/thing5", "missing")]),
        ("no field at all", data(json!({})), vec![("/data/thing8", "missing"), ("/data/thing5", "missing")]),
        (
            "an extra field",
            data(json!({ "thing8": "物业费", "thing5": "x", "thing9": "y" })),
            vec![("/data/thing9", "unknown_field")],
        ),
        (
            "an extra field whose name a pointer has to escape",
            data(json!({ "thing8": "物业费", "thing5": "x", "a/b~c": "y" })),
            vec![("/data/a~1b~0c", "unknown_field")],
        ),
        ("an empty field", data(json!({ "thing8": "", "thing5": "x" })), vec![("/data/thing8", "empty")]),
        (
            "an empty field as WeChat writes it",
            data(json!({ "thing8": { "value": "" }, "thing5": "x" })),
            vec![("/data/thing8", "empty")],
        ),
        (
            "21 characters",
            data(json!({ "thing8": twenty_one, "thing5": "x" })),
            vec![("/data/thing8", "too_long")],
        ),
        (
            "a line break",
            data(json!({ "thing8": "a\nb", "thing5": "x" })),
            vec![("/data/thing8", "control_character")],
        ),
        ("a phone number for an openid", with(json!({ "to": "13800138000" })), vec![openid]),
        ("an openid with a blank", with(json!({ "to": "oG0NJ5Oi 3Dd1HlZJ14xfnA0sJ6s" })), vec![openid]),
        ("an openid with Chinese", with(json!({ "to": "oG0NJ5Oi_3Dd1HlZJ14xfnA0张三" })), vec![openid]),
        ("an endless openid", with(json!({ "to": "o".repeat(10_000) })), vec![openid]),
        ("no openid", with(json!({ "to": "" })), vec![openid]),
        (
            "everything at once",
            json!({ "to": "张三", "template_id": FEE, "data": { "thing8": twenty_one, "thing7": "x" },
                "page": "https://example.com/", "miniprogram_state": "beta", "lang": "zh" }),
            vec![
                openid,
                ("/data/thing8", "too_long"),
                ("/data/thing5", "missing"),
                ("/data/thing7", "unknown_field"),
                ("/page", "invalid_page"),
                ("/miniprogram_state", "invalid_value"),
                ("/lang", "invalid_value"),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_of_a_send_is_named_with_its_pointer() {
    let world = World::new(true).await;
    for (name, body, expected) in cases() {
        for (language, is_theirs) in [("zh", true), ("en", false)] {
            let url = format!("{}/api/v1/apps/{SAMPLE_APPID}/messages", world.url);
            let bearer = format!("Bearer {}", world.key);
            let headers = [("authorization", bearer.as_str()), ("accept-language", language)];
            let reply = call("POST", &url, &headers, body.to_string()).await;
            assert_eq!(reply.status, 422, "{name}: {}", reply.text);
            assert_eq!(reply.headers["content-type"], "application/problem+json", "{name}");
            let problem = reply.json();
            assert_eq!(problem["code"], "validation_failed", "{name}: {problem}");
            let errors = problem["errors"].as_array().unwrap();
            let named: Vec<_> = errors
                .iter()
                .map(|error| (error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()))
                .collect();
            assert_eq!(named, expected, "{name}");
            for error in errors {
                let detail = error["detail"].as_str().unwrap();
                assert!(detail.len() > 10, "{name}: {detail}");
                let chinese = detail.chars().filter(|c| ('\u{4e00}'..'\u{9fff}').contains(c)).count();
                assert_eq!(chinese > 5, is_theirs, "{name} in {language}: {detail}");
            }
        }
    }
    assert_eq!(world.get("/messages").await["items"], json!([]), "nothing was taken");
    let good = world.send_fee(json!({}), &[]).await;
    assert_eq!(good.status, 202, "and the right one is: {}", good.text);
}

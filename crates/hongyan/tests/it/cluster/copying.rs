//! `hongyan copy` from a file to PostgreSQL and back: everything arrives, a copy that was cut off goes on, what is wrong is said.

use serde_json::json;
use simulator::SAMPLE_APPID;
use store::testing::TempPostgres;

use crate::chaos::ready;
use crate::http::call;
use crate::program::{Server, free_address, hongyan};
use crate::world::{FEE, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_moves_and_goes_on() {
    let Some(database) = TempPostgres::shared("an_installation_moves_and_goes_on") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let file = format!("sqlite:{}", path.join("hongyan.db").display());
    let address = free_address();
    let openids: Vec<String> = (0..40).map(|number| format!("oCopy{number:0>22}")).collect();
    let (_sim, sim_url) = crate::campaigns::chaos::wechat(&address, 1, &openids).await;
    let command = |url: &str| {
        let mut command = hongyan(path);
        command.env("HONGYAN_DATABASE_URL", url).env_remove("HONGYAN_LEASE_SECONDS");
        command
    };
    let bearer = crate::program::register_with(|| command(&file), &sim_url, &[]);
    let mut server = Server::of(command(&file), path, &address);
    until("the server", || ready(&address)).await;
    let headers = [("authorization", bearer.as_str())];
    let base = format!("http://{address}/api/v1/apps/{SAMPLE_APPID}");
    let synced = call("POST", &format!("{base}/templates/sync"), &headers, "").await;
    assert_eq!(synced.status, 200, "{}", synced.text);
    let mut sent = Vec::new();
    for openid in &openids {
        let body = json!({ "to": openid, "template_id": FEE, "data": { "thing8": "物业费", "thing5": "\u{0}请缴纳" } });
        let body = body.to_string().replace("\\u0000", "");
        let reply = call("POST", &format!("{base}/messages"), &headers, body).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
        sent.push(reply.json()["id"].as_str().unwrap().to_owned());
    }

    let target = database.fresh_database().unwrap();
    let copy = |from: &str, to: &str| {
        let mut command = hongyan(path);
        command.env_remove("HONGYAN_DATABASE_URL");
        command.args(["copy", "--json", "--from", from, "--to", to]).output().unwrap()
    };
    let refused = copy(&file, &target);
    assert_eq!(refused.status.code(), Some(1), "it is being served");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("already serving"), "{refused:?}");
    assert!(server.stop());

    let copied = copy(&file, &target);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let report: serde_json::Value = serde_json::from_slice(&copied.stdout).unwrap();
    assert_eq!(report["equal"], true, "{report}");
    let messages =
        report["compared"].as_array().unwrap().iter().find(|pair| pair["what"] == "message").unwrap();
    assert_eq!((messages["from"].as_i64(), messages["to"].as_i64()), (Some(40), Some(40)));
    assert!(copy(&file, &target).status.success(), "once more says the same");

    // Somebody else's database is left alone.
    let other = format!("sqlite:{}", path.join("other.db").display());
    let mut made = command(&other);
    assert!(
        made.args(["key", "create", "--name", "x", "--all-apps", "--scope", "read"])
            .output()
            .unwrap()
            .status
            .success()
    );
    let refused = copy(&other, &target);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("holds data already"), "{refused:?}");

    // It goes on where it was, with the same key and the same master key.
    let mut server = Server::of(command(&target), path, &address);
    until("the server on PostgreSQL", || ready(&address)).await;
    for id in &sent {
        let message = call("GET", &format!("{base}/messages/{id}"), &headers, "").await;
        assert_eq!(message.status, 200, "{}", message.text);
    }
    let body =
        json!({ "to": openids[0], "template_id": FEE, "data": { "thing8": "水费", "thing5": "请缴纳" } });
    let reply = call("POST", &format!("{base}/messages"), &headers, body.to_string()).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    assert!(server.stop());

    // And back.
    let back = format!("sqlite:{}", path.join("back.db").display());
    let copied = copy(&target, &back);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
}

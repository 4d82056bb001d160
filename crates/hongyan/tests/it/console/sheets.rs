//! Sheets through the console's form: large ones are taken, too large ones refused with words.

use serde_json::json;
use simulator::SAMPLE_APPID;

use super::{Person, operator};
use crate::http::{Reply, call};
use crate::world::{FEE, World};

async fn upload(person: &Person, rows: usize) -> Reply {
    let mut body = String::new();
    for (name, value) in [("csrf", person.csrf.as_str()), ("template_id", FEE)] {
        body.push_str(&format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    body.push_str("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"大表.csv\"\r\n\r\nopenid,服务内容,备注\n");
    for row in 0..rows {
        body.push_str(&format!("oSheet_{row:021},房屋 {row},{}\n", "请及时缴纳".repeat(4)));
    }
    body.push_str("\r\n--b--\r\n");
    let headers = [
        ("content-type", "multipart/form-data; boundary=b"),
        ("cookie", person.cookie.as_str()),
        ("connection", "close"),
    ];
    call("POST", &format!("{}/apps/{SAMPLE_APPID}/uploads", person.base), &headers, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_sheet_is_taken() {
    let world = World::new(false).await;
    operator(&world, "editor", json!({ "*": "editor" })).await;
    let person = Person::sign_in(&world, "editor").await;
    let taken = upload(&person, 30_000).await;
    assert_eq!(taken.status, 303, "{}", taken.text);
    let page = person.get(taken.headers["location"].to_str().unwrap().trim_start_matches('/')).await;
    assert!(page.text.contains("30,000"), "every row is counted");
    let refused = upload(&person, 200_000).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("16 MiB"), "{}", refused.text);
}

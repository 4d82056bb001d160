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

/// A client that writes all it has before it reads must not find the connection broken, whatever it sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_answered_to_slow_writers() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new(false).await;
    let address = world.url.trim_start_matches("http://").to_owned();
    for (path, length, status) in [
        (format!("/api/v1/apps/{SAMPLE_APPID}/messages"), 20 << 20, "401"),
        (format!("/callback/{SAMPLE_APPID}?signature=a&timestamp=1&nonce=2"), 20 << 20, "413"),
        ("/nothing/here".to_owned(), 1 << 20, "404"),
    ] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..length / 65_536 {
            socket.write_all(&[b' '; 65_536]).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
}

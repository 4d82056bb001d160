//! Spreadsheets of recipients through the REST interface: files made by openpyxl and xlwt, files written by hand, and the
//! closing lists read by openpyxl.

mod campaigns;
mod habits;
mod large;
mod refused;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use crate::http::{Reply, call};
use crate::peers::{folder, python};
use crate::world::World;

/// People with a room, a telephone and a number of the team, each with so many grants of the fee notice.
pub(crate) async fn residents(world: &World, count: usize, grants: u32) -> Vec<String> {
    let attributes = json!({ "room": { "key": true }, "phone": { "key": true } });
    let set = world.api("PATCH", "", &json!({ "settings": { "attributes": attributes } })).await;
    assert_eq!(set.status, 200, "{}", set.text);
    let openids = crate::campaigns::people(world, count, grants).await;
    for (at, openid) in openids.iter().enumerate() {
        let who = json!({ "external_id": format!("{:04}", at + 301),
            "attributes": { "room": format!("3-{}", 1201 + at), "phone": format!("1380013{:04}", 8000 + at) } });
        assert_eq!(world.api("PUT", &format!("/subscribers/{openid}"), &who).await.status, 201);
    }
    openids
}

/// Uploads a file with these fields of the form.
pub(crate) async fn upload(world: &World, name: &str, file: &[u8], fields: &Value) -> Reply {
    let boundary = "hongyanBoundary7MA4YWxkTrZu0gW";
    let mut body = Vec::new();
    for (field, value) in fields.as_object().unwrap() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let part =
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{field}\"\r\n\r\n{text}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head =
        format!("--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let url = format!("{}/api/v1/apps/{SAMPLE_APPID}/uploads", world.url);
    let bearer = format!("Bearer {}", world.key);
    let kind = format!("multipart/form-data; boundary={boundary}");
    call("POST", &url, &[("authorization", &bearer), ("content-type", &kind), ("connection", "close")], body)
        .await
}

/// An upload that must be read.
pub(crate) async fn uploaded(world: &World, name: &str, file: &[u8], fields: &Value) -> Value {
    let reply = upload(world, name, file, fields).await;
    assert_eq!(reply.status, 201, "{name}: {}", reply.text);
    reply.json()
}

/// Reads an upload again with another answer.
pub(crate) async fn answer(world: &World, upload: &Value, change: Value) -> Value {
    let path = format!("/uploads/{}", upload["upload_id"].as_str().unwrap());
    let reply = world.api("PATCH", &path, &change).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

/// The question of this code.
pub(crate) fn question<'v>(upload: &'v Value, code: &str) -> &'v Value {
    let questions = upload["questions"].as_array().unwrap();
    questions
        .iter()
        .find(|question| question["code"] == code)
        .unwrap_or_else(|| panic!("no {code} in {questions:?}"))
}

/// Row, column and code of every error.
pub(crate) fn errors(upload: &Value) -> Vec<(u64, String, String)> {
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    let errors = upload["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| (error["row"].as_u64().unwrap(), text(error, "column"), text(error, "code")))
        .collect()
}

/// A file as the peer makes it.
pub(crate) fn made(kind: &str, mut ask: Value) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    ask["path"] = file.path().to_str().unwrap().into();
    peer(kind, &ask);
    std::fs::read(file.path()).unwrap()
}

/// What openpyxl sees in a file.
pub(crate) fn seen(file: &[u8]) -> Value {
    let mut place = tempfile::NamedTempFile::with_suffix(".xlsx").unwrap();
    place.write_all(file).unwrap();
    peer("read", &json!({ "path": place.path() }))
}

fn peer(word: &str, ask: &Value) -> Value {
    let mut command = Command::new(python());
    let command = command.arg("sheets_peer.py").arg(word).current_dir(folder());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ask.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{word}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether the peers are there; where everything is required they are.
pub(crate) fn present(test: &str) -> bool {
    let there = python().is_file();
    assert!(there || std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "{test} needs the Python peers");
    if !there {
        let _ = std::io::stderr().write_all(format!("\nSKIPPED {test}: no Python peers\n").as_bytes());
    }
    there
}

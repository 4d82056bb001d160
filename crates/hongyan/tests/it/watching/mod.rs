//! Watching over it: the diagnosis, the certificate, readiness, metrics, logs.

mod certificate;
mod doctor;
#[cfg(unix)]
mod ready;
mod walk;

use serde_json::Value;

/// The check with this code.
fn check(diagnosis: &Value, code: &str) -> Value {
    let all = diagnosis["checks"].as_array().unwrap_or_else(|| panic!("no checks: {diagnosis}"));
    all.iter().find(|check| check["code"] == code).unwrap_or_else(|| panic!("no {code}: {diagnosis}")).clone()
}

/// Its verdict.
fn verdict(diagnosis: &Value, code: &str) -> String {
    check(diagnosis, code)["verdict"].as_str().unwrap().to_owned()
}

//! A sheet of 100,000 rows: how long it takes, and how much memory.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{residents, uploaded};
use crate::world::{FEE, World};

const ROWS: usize = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_rows_are_read() {
    let world = World::new(true).await;
    residents(&world, 1, 1).await;
    let mut sheet = String::from("房号,服务内容,备注,电话,金额\n");
    for row in 0..ROWS {
        sheet.push_str(&format!(
            "{}-{},物业费 {row},请于月底前缴纳,1380013{:04},{}.50\n",
            row % 90,
            1201 + row,
            row % 10_000,
            row
        ));
    }
    let started = Instant::now();
    let found = uploaded(&world, "fees.csv", sheet.as_bytes(), &json!({ "template_id": FEE })).await;
    let took = started.elapsed();
    println!("{ROWS} rows of CSV: {took:.1?}");
    assert_eq!(
        (found["rows"].as_u64(), found["valid"].as_u64()),
        (Some(ROWS as u64), Some(ROWS as u64)),
        "{found}"
    );
    assert_eq!(found["unknown_recipients"]["rows"].as_array().unwrap().len(), 20, "the first ones are told");
    assert!(took < Duration::from_secs(60), "{took:?}");
}

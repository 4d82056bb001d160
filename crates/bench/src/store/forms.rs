//! How a batch travels to PostgreSQL: one array per column, or one JSON array. The same rows, the same table.

use std::time::Instant;

use serde_json::json;
use sqlx::{Connection, PgConnection};

const ROWS: usize = 64;
const BATCHES: usize = 400;
const BODY: &str = "x";

const ARRAYS: &str = "insert into form (id, lane, at, digest, openid, body)
    select * from unnest($1::bytea[], $2::smallint[], $3::bigint[], $4::bytea[], $5::text[], $6::text[]) on conflict do nothing";
const JSON: &str = "insert into form (id, lane, at, digest, openid, body)
    select decode(id, 'hex'), lane, at, decode(digest, 'hex'), openid, body
    from json_to_recordset($1::json) b (id text, lane smallint, at bigint, digest text, openid text, body text) on conflict do nothing";

/// Microseconds a row of each form; in turns, asynchronous commit, so that the disk does not blur the difference.
pub(crate) async fn run(url: &str) -> anyhow::Result<[(&'static str, f64); 2]> {
    let mut db = PgConnection::connect(url).await?;
    sqlx::raw_sql(
        "set synchronous_commit = off; create unlogged table form
        (id bytea, lane smallint, at bigint, digest bytea, openid text, body text, primary key (lane, id))",
    )
    .execute(&mut db)
    .await?;
    let body = BODY.repeat(350);
    let mut took = [0f64; 2];
    for batch in 0..BATCHES {
        let ids: Vec<[u8; 16]> = (0..ROWS).map(|row| ((batch * ROWS + row) as u128).to_be_bytes()).collect();
        let started = Instant::now();
        if batch % 2 == 0 {
            sqlx::query(ARRAYS)
                .bind(ids.iter().map(|id| id.as_slice()).collect::<Vec<_>>())
                .bind(vec![7i16; ROWS])
                .bind(vec![1_790_000_000_000i64; ROWS])
                .bind(ids.iter().map(|id| id.as_slice()).collect::<Vec<_>>())
                .bind(vec!["oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s"; ROWS])
                .bind(vec![body.as_str(); ROWS])
                .execute(&mut db)
                .await?;
        } else {
            let rows: Vec<_> = ids
                .iter()
                .map(|id| {
                    let id = hex::encode(id);
                    json!({ "id": id, "lane": 7, "at": 1_790_000_000_000i64, "digest": id,
                        "openid": "oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s", "body": body })
                })
                .collect();
            sqlx::query(JSON).bind(serde_json::to_string(&rows)?).execute(&mut db).await?;
        }
        took[batch % 2] += started.elapsed().as_secs_f64();
    }
    let micros = |seconds: f64| seconds * 1e6 / (BATCHES / 2 * ROWS) as f64;
    Ok([("arrays", micros(took[0])), ("JSON", micros(took[1]))])
}

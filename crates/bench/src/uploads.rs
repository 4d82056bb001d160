//! A spreadsheet of 100,000 rows into the real `hongyan serve`: how long it takes until every row is checked and kept, and how much
//! memory the process ever took.

use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::load::report::{Figure, note, print};
use crate::load::served::Served;
use crate::load::serving::{Serving, runtime};
use crate::load::world::{APP, TEMPLATE, World};
use crate::sends::wechat;

const BOUNDARY: &str = "hongyanBench7MA4YWxkTrZu0gW";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rows of the sheet, and subscribers in the database.
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (servers, wechats) = (runtime("service", 2)?, runtime("simulator", 1)?);
    let sim = wechat()?;
    let serving = wechats.block_on(Serving::start(sim.router()))?;
    let world = servers.block_on(World::make(arguments.rows, &format!("http://{}", serving.address)))?;
    let mut figures = Vec::new();
    for (kind, file) in [("xlsx", xlsx(&world)?), ("csv", csv(&world))] {
        let copy = world.copy()?;
        let (seconds, before, peak) = servers.block_on(async {
            let served = Served::start(&world, &copy).await?;
            let before = served.peak()?;
            let started = Instant::now();
            let found = upload(&served, &format!("fees.{kind}"), &file).await?;
            let seconds = started.elapsed().as_secs_f64();
            ensure!(
                found["valid"].as_u64() == Some(arguments.rows as u64) && found["ready"] == true,
                "{found}"
            );
            anyhow::Ok((seconds, before, served.peak()?))
        })?;
        note(&format!(
            "{kind}, {} MB: {seconds:.1} s, {before} MB before and {peak} MB at most",
            file.len() >> 20
        ));
        for (what, value) in [("seconds", seconds), ("peak memory, MB", peak as f64)] {
            let mut figure = Figure::new(format!("{} rows of {kind}: {what}", arguments.rows), None);
            figure.runs.push(value);
            figures.push(figure);
        }
    }
    print("uploads", &figures, arguments.json);
    wechats.block_on(serving.stop());
    Ok(())
}

fn rows(world: &World) -> impl Iterator<Item = [String; 6]> {
    world.openids.iter().enumerate().map(|(row, openid)| {
        [
            openid.clone(),
            format!("物业费 {row}"),
            "请于本月底前缴纳".to_owned(),
            format!("1380013{:04}", row % 10_000),
            format!("{}-{}", row % 90, 1_201 + row % 40),
            format!("{row}.50"),
        ]
    })
}

const COLUMNS: [&str; 6] = ["openid", "服务内容", "备注", "电话", "房号", "金额"];

fn xlsx(world: &World) -> anyhow::Result<Vec<u8>> {
    let columns = COLUMNS.map(str::to_owned).to_vec();
    let mut writer = sheets::write::Writer::new("收费表", columns, &std::env::temp_dir())?;
    for row in rows(world) {
        writer.row(row.iter().map(String::as_str))?;
    }
    Ok(writer.finish()?)
}

fn csv(world: &World) -> Vec<u8> {
    let mut text = COLUMNS.join(",") + "\n";
    for row in rows(world) {
        text.push_str(&row.join(","));
        text.push('\n');
    }
    text.into_bytes()
}

async fn upload(served: &Served, name: &str, file: &[u8]) -> anyhow::Result<Value> {
    let mut body = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"template_id\"\r\n\r\n{TEMPLATE}\r\n\
         --{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    served
        .send("POST", &format!("/api/v1/apps/{APP}/uploads"), &kind, body.into())
        .await
        .context("the upload")
}

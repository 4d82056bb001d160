//! `hongyan copy`: moves an installation to another database. What was copied is kept where it is cut off, and the same command
//! goes on from there.

use anyhow::bail;
use store::Role;
use store::copying::{Compared, copy};

use crate::cli::{Copy, Global};
use crate::config::Config;
use crate::locale::say;
use crate::{open, output};

pub(crate) async fn run(global: &Global, asked: Copy) -> anyhow::Result<()> {
    if asked.from == asked.to {
        bail!(say("--from 与 --to 是同一个数据库。", "--from and --to are the same database."));
    }
    let config = Config::load(global, None, None)?;
    if !store::store::is_postgres(&asked.from) && !store::store::sqlite_path(&asked.from)?.exists() {
        bail!("{}: {}", say("没有这个数据库文件", "there is no such database file"), asked.from);
    }
    // As its worker, so that nobody serves a file meanwhile.
    let from = open::service(&Config { database_url: asked.from, ..config.clone() }, Role::Worker).await?;
    let to = open::service(&Config { database_url: asked.to, ..config }, Role::Guest).await?;
    let mut shown = String::new();
    let compared = copy(from.store(), to.store(), |table, rows| {
        if shown != table && !global.json {
            output::remark(table);
        }
        if rows > 0 && rows % 50_000 == 0 && !global.json {
            output::remark(&format!("{table} {rows}"));
        }
        table.clone_into(&mut shown);
    })
    .await?;
    let equal = |pair: &Compared| pair.from == pair.to;
    if global.json {
        let pairs: Vec<_> = compared
            .iter()
            .map(|pair| serde_json::json!({ "what": pair.what, "from": pair.from, "to": pair.to }))
            .collect();
        output::json(&serde_json::json!({ "equal": compared.iter().all(equal), "compared": pairs }));
    } else {
        let rows: Vec<Vec<String>> = compared
            .iter()
            .filter(|pair| pair.from > 0 || !equal(pair))
            .map(|pair| {
                let sign = if equal(pair) { "=" } else { "≠" };
                vec![pair.what.clone(), pair.from.to_string(), sign.to_owned(), pair.to.to_string()]
            })
            .collect();
        let headings = [say("内容", "WHAT"), say("来源", "FROM"), "", say("目标", "TO")];
        output::table(&headings, &rows);
    }
    if !compared.iter().all(equal) {
        bail!(say(
            "两边不相等：复制没有完成，请不要启动目标数据库。",
            "The two differ: the copy is not whole, and the target must not be served."
        ));
    }
    if !global.json {
        output::remark(say(
            "复制完成，两边相等。请用同一个主密钥启动目标数据库；来源没有被改动。",
            "Copied, and the two are equal. Serve the target with the same master key; the source is unchanged.",
        ));
    }
    Ok(())
}

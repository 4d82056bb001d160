//! The README and the quick start are right: every command in them runs as it stands there, in order, in a fresh directory, and prints
//! what the document shows. How a block is marked that cannot run, and what else there is to know for whoever writes such a
//! document, stands in CONTRIBUTING.md.

mod page;
mod stage;

use std::path::Path;

use self::page::{Block, blocks};
use self::stage::Stage;

/// Runs a document. Its commands speak the language of the terminal that it is written for.
fn walk(document: &str, lang: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
    let blocks = blocks(&text).unwrap_or_else(|why| panic!("{document}: {why}"));
    let run = blocks.iter().filter(|block| block.left_out.is_none()).count();
    assert!(run >= 2 && run * 2 >= blocks.len(), "{document}: {run} of {} blocks are run", blocks.len());
    let mut stage = Stage::new(lang);
    for Block { line, script, shown, left_out } in &blocks {
        if left_out.is_none() {
            stage.run(&format!("{document}:{line}"), script, shown.as_deref());
        }
    }
}

/// Runs a document, where there is a curl to run it with.
macro_rules! walk {
    ($document:literal, $lang:literal) => {
        match std::process::Command::new("curl").arg("--version").output() {
            Ok(_) => walk($document, $lang),
            Err(_) => {
                assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "curl is missing");
                eprintln!("left out: curl is missing");
            }
        }
    };
}

#[test]
fn the_readme_runs_as_it_is_written() {
    walk!("README.md", "en_US.UTF-8");
}

#[test]
fn the_chinese_readme_runs_as_it_is_written() {
    walk!("README.zh-CN.md", "zh_CN.UTF-8");
}

#[test]
fn the_quick_start_runs_as_it_is_written() {
    walk!("docs/QUICKSTART.md", "en_US.UTF-8");
}

#[test]
fn the_chinese_quick_start_runs_as_it_is_written() {
    walk!("docs/zh/QUICKSTART.md", "zh_CN.UTF-8");
}

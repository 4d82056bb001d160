//! `hongyan demo`: the whole loop over real HTTP, each step seen to happen, in a throw-away directory.

mod narrator;
mod stage;
mod story;

use std::process::{Command, ExitCode, Stdio};

use self::narrator::Narrator;
use self::stage::Stage;
use super::asked_to_stop;
use crate::cli::Demo;

pub(crate) async fn run(arguments: Demo) -> anyhow::Result<ExitCode> {
    let mut narrator = Narrator::new();
    let stage = Stage::set(&mut narrator, &arguments).await?;
    if arguments.open {
        open_in_browser(&stage.phone());
    }
    let played = tokio::select! {
        played = story::play(&stage, &mut narrator) => played,
        () = asked_to_stop() => Err(anyhow::anyhow!("interrupted")),
    };
    let seen = match played {
        Ok(()) => true,
        Err(error) => {
            narrator.failed(&error);
            false
        }
    };
    narrator.summary(&stage, seen, arguments.once);
    if seen && !arguments.once {
        asked_to_stop().await;
    }
    stage.strike().await;
    Ok(if seen { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A convenience only: where it fails, the address stands in the terminal.
fn open_in_browser(url: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    drop(Command::new(program).arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn());
}

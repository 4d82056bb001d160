//! `cargo xtask pictures`: the pictures of the console in the READMEs, made by the browser test from a running service with the
//! simulated WeChat. Needs what `cargo xtask test` installs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::{process, say};

/// What a picture of the walk is called, and where it goes.
const PICTURES: [(&str, &str); 3] = [
    ("compose-upload.png", "console-compose.png"),
    ("campaign-finished.png", "console-campaign.png"),
    ("overview-english.png", "console-overview.png"),
];
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the task; says whether every picture was made.
pub(crate) fn run(root: &Path) -> Result<bool> {
    if !process::succeeds(&mut process::cargo(root, &["build", "-p", "hongyan"]))? {
        return Ok(false);
    }
    let binary = root.join("target/debug/hongyan");
    let directory = std::env::temp_dir().join(format!("hongyan-pictures-{}", std::process::id()));
    std::fs::create_dir_all(&directory).context("a directory for the pictures")?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    let mut server = process::program(&binary, &directory, &["serve", "--listen", &address]).spawn()?;
    let made = walk(root, &binary, &directory, &address);
    server.kill()?;
    server.wait()?;
    let made = made?;
    if made {
        for (walked, name) in PICTURES {
            let found = std::fs::read_dir(&directory)?
                .flatten()
                .map(|entry| entry.path())
                .find(|path| path.to_string_lossy().ends_with(walked))
                .with_context(|| format!("no picture {walked}"))?;
            std::fs::copy(found, root.join("docs/images").join(name))?;
            say::line(&format!("docs/images/{name}"));
        }
    }
    std::fs::remove_dir_all(directory)?;
    Ok(made)
}

fn walk(root: &Path, binary: &Path, directory: &Path, address: &str) -> Result<bool> {
    let until = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(address).is_err() {
        anyhow::ensure!(Instant::now() < until, "the service did not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    let code = process::output(&mut process::program(binary, directory, &["setup-code"]))
        .context("hongyan setup-code")?;
    let (url, pictures) = (format!("http://{address}"), directory.to_string_lossy());
    let script = root.join("crates/hongyan/tests/browser");
    process::succeeds(&mut process::program("node", &script, &["console.mjs", &url, &code, &pictures, "all"]))
}

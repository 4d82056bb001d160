//! The real `hongyan serve` on an empty SQLite database: how soon it is ready, how much memory it takes when idle, how large its file
//! is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::load::report::{Figure, note, print};
use crate::load::served::program;

/// How often it is asked whether it is ready.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Starts from nothing, and as many again from what the first left.
    #[arg(long, default_value_t = 11)]
    runs: usize,
    /// Seconds that it is left alone before its memory is looked at.
    #[arg(long, default_value_t = 10)]
    idle: u64,
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut first = Figure::new("start to ready from nothing, ms (below 300)", None);
    let mut again = Figure::new("start to ready again, ms (below 300)", None);
    for _ in 0..arguments.runs {
        let directory = tempfile::tempdir()?;
        for figure in [&mut first, &mut again] {
            let beside = bare()?;
            let (served, ready) = Started::new(directory.path())?;
            figure.add(ready.as_secs_f64() * 1e3, beside.as_secs_f64() * 1e3);
            served.stop()?;
        }
    }
    note("beside: the same file only telling its version");
    let directory = tempfile::tempdir()?;
    let (served, _) = Started::new(directory.path())?;
    std::thread::sleep(Duration::from_secs(arguments.idle));
    let megabytes = |name: &str| anyhow::Ok(served.kilobytes(name)? / 1024.0);
    let mut figures = vec![first, again];
    for (what, name) in [
        ("resident when idle, MB (below 40)", "VmRSS:"),
        ("of it its own", "RssAnon:"),
        ("of it pages of its file, which are dropped when memory is short", "RssFile:"),
    ] {
        let mut figure = Figure::new(what, None);
        figure.runs.push(megabytes(name)?);
        figures.push(figure);
    }
    served.stop()?;
    let mut size = Figure::new("size of the file, MB (below 40)", None);
    size.runs.push(std::fs::metadata(program()?)?.len() as f64 / 1e6);
    figures.push(size);
    print("start", &figures, arguments.json);
    Ok(())
}

/// How long the system takes to start the file and see it end.
fn bare() -> anyhow::Result<Duration> {
    let started = Instant::now();
    let status = Command::new(program()?).arg("--version").stdout(Stdio::null()).status()?;
    ensure!(status.success(), "--version: {status}");
    Ok(started.elapsed())
}

/// A server that was ready once; ends with this.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Started {
    /// Starts it; gives the time until `/readyz` answered 200.
    fn new(directory: &Path) -> anyhow::Result<(Self, Duration)> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut serve = Command::new(program()?);
        serve.args(["serve", "--listen", &address.to_string(), "--data-dir"]).arg(directory);
        serve.env("RUST_LOG", "error").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let served = Self(serve.spawn()?);
        while !ready(address).unwrap_or(false) {
            ensure!(started.elapsed() < Duration::from_secs(30), "hongyan serve does not become ready");
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok((served, started.elapsed()))
    }

    fn kilobytes(&self, name: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    }

    /// As an operator stops it, so that the next start has nothing to mend.
    fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        ensure!(asked.success() && self.0.wait()?.success(), "it did not stop well");
        Ok(())
    }
}

fn ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer.ends_with(b" 200"))
}

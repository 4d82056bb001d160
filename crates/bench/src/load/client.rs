//! The load: connections that send one request after the other, as lean as can be, so that the machine's time goes to
//! what is measured. Only what the servers under test answer is understood: a status line and a Content-Length.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Requests to be sent, each once.
#[derive(Clone)]
pub(crate) struct Requests {
    pub(crate) all: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
}

impl Requests {
    pub(crate) fn new(all: Vec<Vec<u8>>) -> Self {
        Self { all: Arc::new(all), next: Arc::default() }
    }

    /// The same requests, from the first on.
    pub(crate) fn again(&self) -> Self {
        Self { all: Arc::clone(&self.all), next: Arc::default() }
    }

    fn take(&self) -> Option<&[u8]> {
        self.all.get(self.next.fetch_add(1, Ordering::Relaxed)).map(Vec::as_slice)
    }
}

/// What a run brought.
pub(crate) struct Load {
    pub(crate) answered: usize,
    pub(crate) took: Duration,
    /// Microseconds, sorted.
    latencies: Vec<u32>,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }

    /// The latency that `share` of the answers stayed below, in milliseconds.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies
            .get(at.min(self.latencies.len().saturating_sub(1)))
            .map_or(0.0, |us| f64::from(*us) / 1e3)
    }
}

/// Sends for `time` (or until all are sent) over so many connections; every answer must begin with `expected`.
pub(crate) async fn run(
    server: SocketAddr,
    connections: usize,
    time: Duration,
    requests: &Requests,
    expected: &'static str,
) -> anyhow::Result<Load> {
    let started = Instant::now();
    let until = started + time;
    let tasks: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(connection(server, until, requests.clone(), expected)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let took = started.elapsed();
    if requests.next.load(Ordering::Relaxed) >= requests.all.len() {
        bail!("all {} requests were sent before the time was over: make more", requests.all.len());
    }
    latencies.sort_unstable();
    Ok(Load { answered: latencies.len(), took, latencies })
}

async fn connection(
    server: SocketAddr,
    until: Instant,
    requests: Requests,
    expected: &'static str,
) -> anyhow::Result<Vec<u32>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let mut answer = BytesMut::with_capacity(16 * 1024);
    let mut latencies = Vec::with_capacity(1 << 16);
    while Instant::now() < until
        && let Some(request) = requests.take()
    {
        let sent = Instant::now();
        stream.write_all(request).await?;
        answer.clear();
        let length = loop {
            if stream.read_buf(&mut answer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(length) = complete(&answer)? {
                break length;
            }
        };
        if length != answer.len() || !answer.starts_with(expected.as_bytes()) {
            bail!("an answer that was not expected: {}", String::from_utf8_lossy(&answer));
        }
        latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

/// The whole length of an answer that is there completely.
fn complete(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&answer[..head])?;
    let length: usize = text
        .split("\r\n")
        .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
        .context("an answer without Content-Length")?
        .1
        .trim()
        .parse()?;
    let whole = head + 4 + length;
    Ok((answer.len() >= whole).then_some(whole))
}

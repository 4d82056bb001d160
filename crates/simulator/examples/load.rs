//! How many send calls a second the simulator answers, on this machine, from raw keep-alive connections:
//! `cargo run --release -p simulator --example load -- [SECONDS [CONNECTIONS [FAULTS.json]]]`

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rand::{TryRng, rngs::SysRng};
use simulator::{SAMPLE_APPID, Simulator, SimulatorConfig, api::Seed, sample_app, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const USERS: usize = 20_000;

#[expect(clippy::disallowed_methods, reason = "an example is where the clock comes from")]
fn simulator() -> Simulator {
    let clock = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or_default()
    };
    let entropy = |buffer: &mut [u8]| {
        // A failure leaves zeroes, which a measurement survives.
        let _ = SysRng.try_fill_bytes(buffer);
    };
    Simulator::new(SimulatorConfig::new(Arc::new(clock), Arc::new(entropy)))
}

fn openid(number: usize) -> String {
    format!("oLoad{number:023}")
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "prints its result")]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    let connections: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(64);
    let sim = simulator();
    let app = sample_app();
    let template = app.templates[0].id.clone();
    sim.put_app(SAMPLE_APPID, app).map_err(std::io::Error::other)?;
    let seed =
        Seed { openids: (0..USERS).map(openid).collect(), grants: [(template.clone(), 1_000_000)].into() };
    sim.seed(SAMPLE_APPID, &seed).map_err(std::io::Error::other)?;
    if let Some(file) = arguments.next() {
        let script = serde_json::from_slice(&std::fs::read(file)?)?;
        sim.set_faults(SAMPLE_APPID, script).map_err(std::io::Error::other)?;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, sim.clone(), std::future::pending()));
    let token = token(address).await?;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for connection in 0..connections {
        let (stop, done) = (stop.clone(), done.clone());
        let requests: Vec<Vec<u8>> = (0..USERS / connections)
            .map(|at| request(&token, &openid(connection + at * connections), &template))
            .collect();
        tasks.spawn(async move { send_all(address, &requests, &stop, &done).await });
    }
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (count, took) = (done.load(Ordering::Relaxed), begun.elapsed());
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(std::io::Error::other)??;
    }
    println!(
        "{:.0} sends/s over {connections} connections, {count} in all",
        count as f64 / took.as_secs_f64()
    );
    println!("{:?}", sim.counters(SAMPLE_APPID).map_err(std::io::Error::other)?);
    Ok(())
}

async fn token(address: std::net::SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let path = format!(
        "/cgi-bin/token?grant_type=client_credential&appid={SAMPLE_APPID}&secret={}",
        sample_app().secret
    );
    let call = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(call.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let parts: Vec<&str> = answer.split('"').collect();
    let at = parts.iter().position(|part| *part == "access_token").unwrap_or_default();
    parts.get(at + 2).map(|token| (*token).to_owned()).ok_or_else(|| std::io::Error::other(answer.clone()))
}

fn request(token: &str, openid: &str, template: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"touser":"{openid}","template_id":"{template}","page":"pages/index?room=1","miniprogram_state":"formal","lang":"zh_CN","data":{{"thing8":{{"value":"物业费"}},"thing5":{{"value":"请及时缴纳"}}}}}}"#
    );
    format!(
        "POST /cgi-bin/message/subscribe/send?access_token={token} HTTP/1.1\r\nhost: x\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One call after the other; a connection that the simulator cut is opened anew.
async fn send_all(
    address: std::net::SocketAddr,
    requests: &[Vec<u8>],
    stop: &AtomicBool,
    done: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 4096];
    let mut stream = None;
    for request in requests.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let connected = match stream.take() {
            Some(stream) => stream,
            None => {
                let fresh = TcpStream::connect(address).await?;
                fresh.set_nodelay(true)?;
                fresh
            }
        };
        stream = exchange(connected, request, &mut buffer).await;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The connection again if the answer came whole.
async fn exchange(mut stream: TcpStream, request: &[u8], buffer: &mut [u8]) -> Option<TcpStream> {
    stream.write_all(request).await.ok()?;
    let mut filled = 0;
    loop {
        let read = stream.read(buffer.get_mut(filled..)?).await.ok().filter(|read| *read > 0)?;
        filled += read;
        let head = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n");
        let Some(head) = head else { continue };
        let text = std::str::from_utf8(&buffer[..head]).ok()?.to_ascii_lowercase();
        let length = text.split("content-length: ").nth(1)?.lines().next()?.trim().parse::<usize>().ok()?;
        if filled >= head + 4 + length {
            return Some(stream);
        }
    }
}

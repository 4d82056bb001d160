//! The simulator with the sample app and nothing else: to look at the phone, and for its browser test.
//! `cargo run -p simulator --example phone [ADDRESS]`

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use rand::{TryRng, rngs::SysRng};
use simulator::{SAMPLE_APPID, Simulator, SimulatorConfig, sample_app, serve};

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "an example is where the clock comes from")]
#[expect(clippy::print_stdout, reason = "prints its address")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8701".to_owned());
    let clock = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or_default()
    };
    let failures = AtomicU64::new(0);
    let entropy = move |buffer: &mut [u8]| {
        if SysRng.try_fill_bytes(buffer).is_err() {
            failures.fetch_add(1, Ordering::Relaxed);
        }
    };
    let sim = Simulator::new(SimulatorConfig::new(Arc::new(clock), Arc::new(entropy)));
    sim.put_app(SAMPLE_APPID, sample_app()).map_err(std::io::Error::other)?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}/", listener.local_addr()?);
    serve(listener, sim, std::future::pending()).await
}

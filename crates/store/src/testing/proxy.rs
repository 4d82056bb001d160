//! A proxy in front of a database that breaks the link as networks do: it cuts it, swallows what is sent, or is slow; and it
//! leads elsewhere after a failover.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Link {
    #[default]
    Whole,
    /// Nothing gets through, and nobody says so.
    Stalled,
    /// Connections are closed, new ones at once.
    Cut,
}

/// One value, so that a new connection sees the target and the generation of the same moment.
#[derive(Debug, Clone, Copy)]
struct State {
    target: SocketAddr,
    link: Link,
    delay: Duration,
    /// Rises with each closing of all connections.
    generation: u64,
}

/// A running proxy; ends with its handle.
#[derive(Debug, Clone)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
}

impl Proxy {
    /// Listens on the loopback and passes on to `target`.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (state, changes) =
            watch::channel(State { target, link: Link::default(), delay: Duration::ZERO, generation: 0 });
        tokio::spawn(async move {
            let mut ended = changes.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    // The last handle is gone.
                    () = async { while ended.changed().await.is_ok() {} } => return,
                };
                let Ok((client, _)) = accepted else { continue };
                tokio::spawn(pass(client, changes.clone()));
            }
        });
        Ok(Self { address, state: Arc::new(state) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections elsewhere; open ones are closed.
    pub fn lead_to(&self, target: SocketAddr) {
        self.change(|state| (state.target, state.generation) = (target, state.generation + 1));
    }

    /// Closes all connections and refuses new ones.
    pub fn cut(&self) {
        self.change(|state| (state.link, state.generation) = (Link::Cut, state.generation + 1));
    }

    /// Lets nothing through, without a word: neither bytes, nor that a side has ended.
    pub fn stall(&self) {
        self.change(|state| state.link = Link::Stalled);
    }

    /// Delays each chunk, of up to 64 KiB, by so much each way.
    pub fn delay(&self, by: Duration) {
        self.change(|state| state.delay = by);
    }

    /// Lets everything through again; what was swallowed stays lost with its connection.
    pub fn mend(&self) {
        self.change(|state| {
            if state.link == Link::Stalled {
                state.generation += 1;
            }
            (state.link, state.delay) = (Link::Whole, Duration::ZERO);
        });
    }

    /// Closes the connections that are open.
    pub fn drop_connections(&self) {
        self.change(|state| state.generation += 1);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }
}

async fn pass(client: TcpStream, mut changes: watch::Receiver<State>) {
    let state = *changes.borrow();
    if state.link == Link::Cut {
        return;
    }
    // Of a stalled link not even the greeting comes back.
    if state.link == Link::Stalled {
        let _ = changes.wait_for(|now| now.link != Link::Stalled || now.generation != state.generation).await;
        return;
    }
    let Ok(server) = TcpStream::connect(state.target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let up = one_way(client_reads, server_writes, changes.clone());
    let down = one_way(server_reads, client_writes, changes.clone());
    tokio::select! {
        () = async { tokio::join!(up, down); } => {}
        _ = changes.wait_for(|now| now.generation != state.generation) => {}
    }
}

async fn one_way(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    changes: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let read = from.read(&mut buffer).await;
        let delay = changes.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if changes.borrow().link == Link::Stalled {
            // Held until the connection is given up: bytes that come late would be another link. So is an end.
            std::future::pending::<()>().await;
        }
        // To drop `to` is to say the end.
        let Some(count) = read.ok().filter(|count| *count > 0) else { return };
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

//! A proxy in front of a database that breaks the link as networks do: it cuts it, swallows what is sent, or is slow; and it
//! leads elsewhere after a failover.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    link: Link,
    delay: Duration,
    /// Rises with each closing of all connections.
    generation: u64,
}

/// A running proxy; ends with its handle.
#[derive(Debug, Clone)]
pub struct Proxy {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
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
        let (state, changes) = watch::channel(State::default());
        let target = Arc::new(Mutex::new(target));
        let to = Arc::clone(&target);
        tokio::spawn(async move {
            let mut ended = changes.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    // The last handle is gone.
                    () = async { while ended.changed().await.is_ok() {} } => return,
                };
                let Ok((client, _)) = accepted else { continue };
                let to = *to.lock().unwrap_or_else(PoisonError::into_inner);
                tokio::spawn(pass(client, to, changes.clone()));
            }
        });
        Ok(Self { address, target, state: Arc::new(state) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections elsewhere; open ones are closed.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
        self.drop_connections();
    }

    /// Closes all connections and refuses new ones.
    pub fn cut(&self) {
        self.change(|state| (state.link, state.generation) = (Link::Cut, state.generation + 1));
    }

    /// Lets nothing through, without a word.
    pub fn stall(&self) {
        self.change(|state| state.link = Link::Stalled);
    }

    /// Delays everything by so much each way.
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

async fn pass(client: TcpStream, to: SocketAddr, mut changes: watch::Receiver<State>) {
    let state = *changes.borrow();
    if state.link == Link::Cut {
        return;
    }
    // Of a stalled link not even the greeting comes back.
    if state.link == Link::Stalled {
        let _ = changes.wait_for(|now| now.link != Link::Stalled || now.generation != state.generation).await;
        return;
    }
    let Ok(server) = TcpStream::connect(to).await else { return };
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
    mut changes: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok(count) = from.read(&mut buffer).await else { return };
        if count == 0 {
            let _ = to.shutdown().await;
            return;
        }
        let state = *changes.borrow_and_update();
        if state.link == Link::Stalled {
            // Held until the connection is given up: bytes that come late would be another link.
            std::future::pending::<()>().await;
        }
        if !state.delay.is_zero() {
            tokio::time::sleep(state.delay).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

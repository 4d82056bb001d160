//! A port of the loopback that stays a server's own while the server is down.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A free port, kept by a socket that is bound and does not listen. On Linux the server can listen there beside it, since both
/// allow reuse of the address, while the system gives the port to nobody who asks for any. Without it a server that was
/// crashed sometimes found its port taken by whatever the tests had started meanwhile.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _kept: Option<TcpSocket>,
}

impl Port {
    pub(super) fn free() -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let number = socket.local_addr()?.port();
        // Elsewhere the server could not listen beside it.
        Ok(Self { number, _kept: cfg!(target_os = "linux").then_some(socket) })
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }
}

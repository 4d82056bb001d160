//! The HTTP face: WeChat's API, the control API, the phone page; and serving it all.

use std::future::Future;

use axum::{
    Router,
    routing::{any, get, post},
};
use tokio::net::TcpListener;

use crate::{Simulator, control, phone};

mod answer;
mod broken;
mod faulty;
mod query;
mod send;
mod templates;
mod token;

impl Simulator {
    /// See [`router`].
    pub fn router(&self) -> Router {
        router(self)
    }
}

/// Everything the simulator answers.
pub fn router(sim: &Simulator) -> Router {
    let api = Router::new()
        .route("/cgi-bin/stable_token", post(token::stable).fallback(answer::needs_post))
        .route("/cgi-bin/token", get(token::plain).fallback(answer::needs_get))
        .route("/cgi-bin/message/subscribe/send", post(send::send).fallback(answer::needs_post))
        .route("/wxaapi/newtmpl/gettemplate", get(templates::list).fallback(answer::needs_get))
        .route("/cgi-bin/{*rest}", any(answer::no_such_call))
        .route("/wxaapi/{*rest}", any(answer::no_such_call));
    api.merge(control::router()).merge(phone::router()).with_state(sim.clone())
}

/// Serves until `shutdown`; streams to the page end then, open calls are answered.
pub async fn serve(
    listener: TcpListener,
    sim: Simulator,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    use axum::serve::ListenerExt;
    let listener = listener.tap_io(|stream| {
        // Without it small answers wait for the other side's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    let stop = sim.0.stop.clone();
    axum::serve(listener, router(&sim))
        .with_graceful_shutdown(async move {
            shutdown.await;
            stop.cancel();
        })
        .await
}

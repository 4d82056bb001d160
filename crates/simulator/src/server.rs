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
mod diagnostics;
mod faulty;
mod library;
mod login;
mod query;
mod quota;
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
        .merge(calls())
        .route("/cgi-bin/{*rest}", any(answer::no_such_call))
        .route("/sns/{*rest}", any(answer::no_such_call))
        .route("/wxaapi/{*rest}", any(answer::no_such_call));
    api.merge(control::router()).merge(phone::router()).with_state(sim.clone())
}

/// All but what sending needs: one line a call, by its method.
fn calls() -> Router<Simulator> {
    let gets = [
        ("/sns/jscode2session", get(login::session)),
        ("/cgi-bin/getcallbackip", get(diagnostics::callback_ips)),
        ("/cgi-bin/get_api_domain_ip", get(diagnostics::api_ips)),
        ("/wxaapi/newtmpl/getcategory", get(library::categories)),
        ("/wxaapi/newtmpl/getpubtemplatetitles", get(library::titles)),
        ("/wxaapi/newtmpl/getpubtemplatekeywords", get(library::keywords)),
    ];
    let posts = [
        ("/cgi-bin/openapi/quota/get", post(quota::get)),
        ("/cgi-bin/clear_quota", post(quota::clear)),
        ("/cgi-bin/clear_quota/v2", post(quota::clear_v2)),
        ("/cgi-bin/openapi/rid/get", post(diagnostics::rid)),
        ("/cgi-bin/callback/check", post(diagnostics::check)),
        ("/wxaapi/newtmpl/addtemplate", post(library::add)),
        ("/wxaapi/newtmpl/deltemplate", post(library::delete)),
    ];
    let router = gets
        .into_iter()
        .fold(Router::new(), |router, (path, call)| router.route(path, call.fallback(answer::needs_get)));
    posts
        .into_iter()
        .fold(router, |router, (path, call)| router.route(path, call.fallback(answer::needs_post)))
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

#![doc = include_str!("../README.md")]

mod answer;
mod assets;
mod form;
mod layout;
mod pages;
mod visit;
mod words;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use service::{Problem, Service};

/// Starts the simulated WeChat with a sample app, for whoever wants to try; gives the phone's address.
pub type TryOut =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, Problem>> + Send>> + Send + Sync>;

/// What the console has to know of its surroundings.
#[derive(Clone, Default)]
pub struct Options {
    /// Where the outside reaches this service, as in `https://notify.example.com/hongyan`.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How the simulated WeChat is started.
    pub try_out: Option<TryOut>,
    /// Where the phone of a simulated WeChat is shown, and the base URL of its API, where one runs.
    pub phones: Phones,
}

/// Addresses of simulated WeChats that run beside this service: the base URL of each is also that of its phone.
pub type Phones = Arc<std::sync::RwLock<Vec<String>>>;

/// Sheets are the largest that a form brings.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Console {
    service: Service,
    options: Arc<Options>,
}

/// The console's pages, to be mounted beside the API.
pub fn router(service: Service, options: Options) -> Router {
    let console = Console { service, options: Arc::new(options) };
    pages::all()
        .route("/assets/{name}", get(assets::asset))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn_with_state(console.clone(), answer::dress))
        .with_state(console)
}

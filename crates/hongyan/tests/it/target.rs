//! A team's other server: it keeps what it gets, and answers as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;

/// What it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// How it answers.
#[derive(Debug, Clone)]
pub(crate) struct Says {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) after: Duration,
    pub(crate) location: Option<String>,
}

impl Says {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            content_type: "text/plain",
            body: b"ok".to_vec(),
            after: Duration::ZERO,
            location: None,
        }
    }

    pub(crate) fn text(content_type: &'static str, body: &str) -> Self {
        Self { content_type, body: body.as_bytes().to_vec(), ..Self::status(200) }
    }
}

#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    got: Arc<Mutex<Vec<Got>>>,
    says: Arc<Mutex<Says>>,
}

impl Target {
    pub(crate) async fn start() -> Self {
        Self::listen("127.0.0.1:0").await
    }

    pub(crate) async fn listen(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let target = Self {
            url: format!("http://{}/wx", listener.local_addr().unwrap()),
            got: Arc::default(),
            says: Arc::new(Mutex::new(Says::status(200))),
        };
        let router = Router::new().fallback(handle).with_state(target.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        target
    }

    pub(crate) fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn handle(State(target): State<Target>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    target.got.lock().unwrap().push(Got { path: parts.uri.path().to_owned(), query, headers, body });
    let says = target.says.lock().unwrap().clone();
    tokio::time::sleep(says.after).await;
    let mut answer = Response::builder().status(says.status).header("content-type", says.content_type);
    if let Some(location) = says.location {
        answer = answer.header("location", location);
    }
    answer.body(Body::from(says.body)).unwrap()
}

//! `GET /_sim/events`: server-sent events of what happens, of one app or one user where the query names it.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use crate::{Simulator, api::LiveEvent};

#[derive(Deserialize)]
pub(super) struct Filter {
    appid: Option<String>,
    openid: Option<String>,
}

impl Filter {
    /// A new or changed app concerns everybody: the page lists them all.
    fn wants(&self, event: &LiveEvent) -> bool {
        if event.kind == "app" {
            return true;
        }
        self.appid.as_ref().is_none_or(|appid| *appid == event.appid)
            && match (&self.openid, &event.openid) {
                (Some(wanted), Some(openid)) => wanted == openid,
                _ => true,
            }
    }
}

pub(super) async fn stream(
    State(sim): State<Simulator>,
    Query(filter): Query<Filter>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let receiver = sim.0.live.watch();
    let stop = sim.0.stop.clone();
    // The first event says that from here on nothing is missed.
    let hello = stream::once(async { Ok(Event::default().event("ready").data("{}")) });
    let rest = stream::unfold((receiver, stop, filter), |(mut receiver, stop, filter)| async {
        loop {
            let received = tokio::select! {
                received = receiver.recv() => received,
                () = stop.cancelled() => return None,
            };
            let event = match received {
                Ok(event) if !filter.wants(&event) => continue,
                Ok(event) => match Event::default().event(&event.kind).json_data(&*event) {
                    Ok(event) => event,
                    Err(_) => continue,
                },
                Err(RecvError::Lagged(missed)) => Event::default().event("missed").data(missed.to_string()),
                Err(RecvError::Closed) => return None,
            };
            return Some((Ok(event), (receiver, stop, filter)));
        }
    });
    let both = stream::StreamExt::chain(hello, rest);
    Sse::new(both).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

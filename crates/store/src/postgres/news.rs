//! Nodes tell each other of news by NOTIFY, a few milliseconds of it at a time and never inside the transaction that it is
//! about: telling must not make commits wait for each other. What is lost is found by the look that every node takes
//! each second.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use domain::{Entropy, Lane, MessageId};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::hints::{Hints, Told};
use crate::hot::enqueue::Queue;

const CHANNEL: &str = "hongyan";
/// What is gathered into one message.
const GATHER: Duration = Duration::from_millis(5);
/// PostgreSQL takes messages of less than 8000 bytes; what does not fit is told as "look everywhere".
const LONGEST: usize = 7_000;
/// Between two of "look everywhere".
const EVERYWHERE: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(1);

/// Starts telling and listening, until the store is closed.
pub(crate) fn start(
    pool: &PgPool,
    hints: &Arc<Hints>,
    closing: Arc<Notify>,
    entropy: &dyn Entropy,
) -> JoinHandle<()> {
    let mut name = [0; 8];
    entropy.fill(&mut name);
    let name = hex::encode(name);
    let (tell, told) = mpsc::unbounded_channel();
    hints.tell_others(tell);
    let (pool, hints) = (pool.clone(), Arc::downgrade(hints));
    tokio::spawn(async move {
        tokio::select! {
            () = closing.notified() => {}
            () = telling(&pool, &name, told) => {}
            () = listening(&pool, &name, &hints) => {}
        }
    })
}

async fn telling(pool: &PgPool, name: &str, mut told: mpsc::UnboundedReceiver<Told>) {
    let mut all = BTreeSet::new();
    let mut everywhere: Option<Instant> = None;
    loop {
        let rest = everywhere.unwrap_or_else(|| Instant::now() + LOOK);
        tokio::select! {
            Some(first) = told.recv() => {
                all.insert(first);
                tokio::time::sleep(GATHER).await;
                while let Ok(next) = told.try_recv() {
                    all.insert(next);
                }
            }
            () = tokio::time::sleep_until(rest) => {}
        }
        let now = Instant::now();
        // Everybody reads everything anew: not each time that something rare was written, if it is written often.
        let rests = everywhere.is_some_and(|until| now < until);
        let held_back = rests && all.remove(&Told::Everywhere);
        if !rests {
            everywhere = all.contains(&Told::Everywhere).then(|| now + EVERYWHERE);
        }
        if !all.is_empty() {
            tell(pool, name, &all).await;
            all.clear();
        }
        if held_back {
            all.insert(Told::Everywhere);
        }
    }
}

async fn tell(pool: &PgPool, name: &str, all: &BTreeSet<Told>) {
    let mut text = name.to_owned();
    for one in all {
        text.push(' ');
        text.push_str(&word(*one));
    }
    if text.len() > LONGEST {
        text = format!("{name} {} {}", word(Told::Everywhere), word(Told::Lanes));
    }
    let sent = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(text).execute(pool).await;
    if let Err(error) = sent {
        tracing::debug!(%error, "the other nodes were not told; they look by themselves");
    }
}

async fn listening(pool: &PgPool, name: &str, hints: &Weak<Hints>) {
    let mut listener = None;
    loop {
        let Some(heard) = hints.upgrade() else { return };
        if listener.is_none() {
            listener = listen(pool).await.ok();
            // What was told while nobody listened.
            heard.look_everywhere();
        }
        let Some(on) = &mut listener else {
            drop(heard);
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        drop(heard);
        let news = tokio::time::timeout(LOOK, on.recv()).await;
        let Some(hints) = hints.upgrade() else { return };
        match news {
            Err(_) => hints.look_everywhere(),
            Ok(Ok(news)) => {
                let mut words = news.payload().split(' ');
                if words.next() != Some(name) {
                    words.filter_map(read).for_each(|one| hints.heard(one));
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the link to the other nodes broke");
                listener = None;
                hints.look_everywhere();
                drop(hints);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn listen(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

fn word(told: Told) -> String {
    match told {
        Told::Everywhere => "all".to_owned(),
        Told::Inbox => "inbox".to_owned(),
        Told::Lanes => "lanes".to_owned(),
        Told::Queue(lane, queue) => format!("{}:{}", lane.0, queue.0),
        Told::Forbidden(id) => id.0.simple().to_string(),
    }
}

fn read(word: &str) -> Option<Told> {
    match word {
        "all" => Some(Told::Everywhere),
        "inbox" => Some(Told::Inbox),
        "lanes" => Some(Told::Lanes),
        other => {
            let Some((lane, queue)) = other.split_once(':') else {
                return Some(Told::Forbidden(MessageId(uuid::Uuid::try_parse(other).ok()?)));
            };
            Some(Told::Queue(Lane(lane.parse().ok()?), Queue(queue.parse().ok()?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard() {
        let id = MessageId(uuid::Uuid::from_u128(7));
        for told in [
            Told::Forbidden(id),
            Told::Everywhere,
            Told::Inbox,
            Told::Lanes,
            Told::Queue(Lane(7), Queue(1 << 41)),
        ] {
            assert_eq!(read(&word(told)), Some(told));
        }
        assert_eq!(read("of a later version"), None);
    }
}

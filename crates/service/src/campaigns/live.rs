//! The campaigns that are under way, in memory: whether their queues may be asked, at what rate. Reloaded after every
//! change, also of another process. The dispatcher asks before it takes from a queue and once more before each call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use domain::Millis;
use domain::campaign::CampaignState;
use domain::window::Window;
use store::campaigns::StoredCampaign;
use store::{Store, StoreError};

use super::request::{Misfire, Options};

/// A campaign as the dispatcher sees it.
#[derive(Debug)]
pub struct Live {
    /// Everything that is known of it.
    pub stored: StoredCampaign,
    /// Its own rate.
    pub rate_per_second: Option<u32>,
    /// What is done where it could not begin in time.
    pub misfire: Option<Misfire>,
    window: Option<Window>,
    /// Messages a second, in hundredths, as last measured.
    rate: AtomicU64,
}

/// The registry.
#[derive(Debug, Default)]
pub struct Campaigns {
    all: RwLock<HashMap<i64, Arc<Live>>>,
    /// Changing, reading and keeping are one turn: an older state must not take the place of a newer one.
    turn: tokio::sync::Mutex<()>,
}

impl Live {
    fn new(stored: StoredCampaign) -> Self {
        let options: Options = serde_json::from_str(&stored.asked.options).unwrap_or_default();
        Self {
            rate_per_second: options.rate_per_second,
            misfire: options.misfire,
            // It was checked when the draft was kept.
            window: options.window.and_then(|window| window.window().ok()),
            rate: AtomicU64::new(0),
            stored,
        }
    }

    /// Whether its messages may be sent now. What stands in the queue of one that is over was put there by hand.
    pub fn may_send(&self, now: Millis) -> bool {
        let state = self.stored.state;
        let sends =
            matches!(state, CampaignState::Running | CampaignState::Finished | CampaignState::Cancelled);
        sends && self.window.as_ref().is_none_or(|window| window.is_open(now))
    }

    /// When its window opens next, where that is what it waits for.
    pub fn opens_at(&self, now: Millis) -> Option<Millis> {
        let window = self.window.as_ref().filter(|window| !window.is_open(now))?;
        Some(window.next_open(now))
    }

    /// Messages a second, as last measured.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
        let hundredths = self.rate.load(Ordering::Relaxed) as f64;
        hundredths / 100.0
    }

    /// Keeps a measured rate.
    pub fn measured(&self, per_second: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small rate")]
        self.rate.store((per_second.max(0.0) * 100.0) as u64, Ordering::Relaxed);
    }
}

impl Campaigns {
    /// Waits until nobody else changes campaigns in this process.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Reads the campaigns under way again; those seen before stay, with their last state.
    ///
    /// # Errors
    /// Where the database is away.
    pub(super) async fn reload(&self, store: &Store) -> Result<(), StoreError> {
        let under_way = store.campaigns_under_way().await?;
        let known: Vec<(i64, i64, uuid::Uuid)> = {
            let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
            all.values()
                .filter(|live| {
                    live.stored.state.is_under_way()
                        && under_way.iter().all(|stored| stored.number != live.stored.number)
                })
                .map(|live| (live.stored.number, live.stored.asked.app, live.stored.asked.id))
                .collect()
        };
        let mut news = under_way;
        // Over since the last look.
        for (_, app, id) in known {
            news.extend(store.campaign(app, id).await?);
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        for stored in news {
            let live = Arc::new(Live::new(stored));
            if let Some(before) = all.get(&live.stored.number) {
                live.rate.store(before.rate.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            all.insert(live.stored.number, live);
        }
        Ok(())
    }

    /// Takes over what somebody has just read.
    pub(super) fn keep(&self, stored: StoredCampaign) -> Arc<Live> {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let live = Arc::new(Live::new(stored));
        if let Some(before) = all.insert(live.stored.number, Arc::clone(&live)) {
            live.rate.store(before.rate.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        live
    }

    /// One of them, where it has been seen.
    pub fn get(&self, number: i64) -> Option<Arc<Live>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// Those that the engine has something to do for.
    pub fn under_way(&self) -> Vec<Arc<Live>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let mut under_way: Vec<_> =
            all.values().filter(|live| live.stored.state.is_under_way()).cloned().collect();
        under_way.sort_unstable_by_key(|live| live.stored.number);
        under_way
    }
}

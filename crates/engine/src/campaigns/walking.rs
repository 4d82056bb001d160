//! The walks over messages that exist: a cancel's and a resend's, lane by lane, a chunk at a time.

use domain::Millis;
use domain::message::State;
use store::StoreError;
use store::campaigns::Progress;

use crate::Shared;

/// Messages of one commit.
const SWEPT: i64 = 500;
/// Messages looked at for one commit.
const EXAMINED: i64 = 1_000;

/// Takes a chunk of every lane out of the queue; tells whether there may be more.
pub(super) async fn sweep(shared: &Shared, number: i64, progress: &Progress) -> Result<bool, StoreError> {
    let mut swept = 0;
    for lane in progress.lanes.iter().filter(|lane| shared.lanes.owns(lane.lane)) {
        if lane.accounts.of(State::Queued) + lane.accounts.of(State::Scheduled) > 0 {
            let epoch = shared.lanes.epoch(lane.lane);
            swept += shared.service.store().sweep_campaign(number, lane.lane, epoch, SWEPT).await?;
        }
    }
    Ok(swept > 0)
}

/// Puts a chunk of every lane back into the queue; tells whether there may be more.
pub(super) async fn resend(
    shared: &Shared,
    number: i64,
    progress: &Progress,
    times: (Millis, Millis),
) -> Result<bool, StoreError> {
    let mut more = false;
    let mine =
        |lane: &&store::campaigns::LaneAccounts| shared.lanes.owns(lane.lane) && lane.resent_to.is_some();
    for lane in progress.lanes.iter().filter(mine) {
        let epoch = shared.lanes.epoch(lane.lane);
        more |= !shared.service.store().resend_campaign(number, lane.lane, epoch, times, EXAMINED).await?;
    }
    Ok(more)
}

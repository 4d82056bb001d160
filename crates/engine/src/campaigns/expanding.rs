//! Recipients become messages: the audience is walked lane by lane (or a list from its first line to its last), a chunk per
//! commit.

use std::collections::VecDeque;

use domain::campaign::CampaignState;
use domain::clock::HOUR;
use domain::{Lane, MessageId, Millis};
use service::campaigns::{Candidate, Made, Materials};
use service::{App, Problem};
use store::campaigns::{Chunk, Expanded, NewRecipient, Place, Progress, StoredCampaign};

use crate::Shared;

/// Recipients of one commit: keeps the writer's transaction near 20 ms.
const CHUNK: i64 = 1_000;
/// How long messages live unless the campaign says otherwise.
const LIFE: Millis = 72 * HOUR;

/// Where the next chunk comes from.
enum From {
    /// Lanes that are not done, with the last openid of each; the first one is under way.
    Lanes(VecDeque<(Lane, Option<String>)>),
    /// The list, after this line.
    List(i64),
}

/// A campaign that is being expanded.
pub(super) struct Expanding {
    campaign: StoredCampaign,
    materials: Materials,
    from: From,
    /// Ids are given in time order, chunk after chunk.
    after: Millis,
}

impl Expanding {
    pub(super) async fn begin(shared: &Shared, app: &App, stored: &StoredCampaign) -> Result<Self, Problem> {
        let service = &shared.service;
        let progress = service.store().campaign_progress(stored.number).await?;
        let mut materials = service.materials(app, stored).await?;
        let from = if stored.asked.list.is_some() {
            let stands = service.store().campaign_by_number(stored.number).await?;
            let stands = stands.map_or(0, |campaign| campaign.expanded_to);
            if stands > 0 {
                remember(shared, stored, &progress, &mut materials).await?;
            }
            From::List(stands)
        } else {
            let mine =
                |lane: &&store::campaigns::LaneAccounts| !lane.expanded && shared.lanes.owns(lane.lane);
            let lanes = progress.lanes.iter().filter(mine);
            From::Lanes(lanes.map(|lane| (lane.lane, lane.expanded_to.clone())).collect())
        };
        let last =
            progress.lanes.iter().filter_map(|lane| lane.ids).map(|(_, last)| MessageId(last).created_at());
        Ok(Self { campaign: stored.clone(), materials, from, after: last.max().unwrap_or(0) })
    }

    /// Whether what it makes fits the campaign's state: after a cancel it is made anew.
    pub(super) fn is_of(&self, state: CampaignState) -> bool {
        (self.campaign.state == CampaignState::Cancelling) == (state == CampaignState::Cancelling)
    }

    /// Writes the next chunk; tells whether there is more.
    pub(super) async fn step(&mut self, shared: &Shared, app: &App) -> Result<bool, Problem> {
        let service = &shared.service;
        let (candidates, place, walks_in) = match &self.from {
            From::Lanes(lanes) => {
                let Some((lane, from)) = lanes.front().cloned() else { return Ok(false) };
                let after = from.clone().unwrap_or_default();
                let (candidates, last) =
                    service.lane_candidates(&self.campaign, &self.materials, lane, &after, CHUNK).await?;
                let done = last.is_none();
                (candidates, Place::Lane { lane, from, to: last.unwrap_or(after), done }, lane)
            }
            From::List(from) => {
                let (candidates, last) =
                    service.listed_candidates(&self.campaign, &self.materials, *from, CHUNK).await?;
                let home = service.home_lane(self.campaign.number);
                let done = last.is_none();
                (candidates, Place::List { home, from: *from, to: last.unwrap_or(*from), done }, home)
            }
        };
        let recipients = self.made(shared, app, candidates);
        let now = service.now();
        let due_at = self.campaign.asked.send_at.unwrap_or(now).max(self.campaign.started_at.unwrap_or(now));
        let asked = &self.campaign.asked;
        let chunk = Chunk {
            campaign: self.campaign.number,
            epoch: shared.lanes.epoch(walks_in),
            app: asked.app,
            template: asked.template,
            version: asked.version.clone(),
            lang: asked.lang.clone(),
            due_at,
            expire_at: asked.expire_at.unwrap_or(due_at + LIFE),
            place: place.clone(),
            recipients,
        };
        let written = service.store().expand_campaign(chunk).await? == Expanded::Written;
        self.materials.kept();
        if !written {
            // Somebody else walks, or it is done: look again from the beginning.
            return Ok(false);
        }
        match (&mut self.from, place) {
            (From::Lanes(lanes), Place::Lane { to, done, .. }) => match lanes.front_mut() {
                Some(front) if !done => front.1 = Some(to),
                _ => drop(lanes.pop_front()),
            },
            (From::List(from), Place::List { to, done, .. }) => {
                *from = to;
                return Ok(!done);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Makes the messages, with ids in the order of the list within each lane.
    fn made(&mut self, shared: &Shared, app: &App, candidates: Vec<Candidate>) -> Vec<NewRecipient> {
        let service = &shared.service;
        let at = service.now().max(self.after + 1);
        self.after = at;
        let made: Vec<Made> = candidates
            .into_iter()
            .map(|candidate| self.materials.make(candidate, |openid| service.may_receive(app, openid)))
            .collect();
        let lanes = service.store().lanes();
        let entropy = &**service.entropy();
        let mut ids: Vec<MessageId> =
            made.iter().map(|made| MessageId::new(at, lanes.of_openid(&made.openid), entropy)).collect();
        // Within a lane the line that comes first has the smaller id.
        ids.sort_unstable();
        let mut places: Vec<usize> = (0..made.len()).collect();
        places.sort_by_key(|place| lanes.of_openid(&made[*place].openid));
        let mut by_place = vec![None; made.len()];
        for (place, id) in places.into_iter().zip(ids) {
            by_place[place] = Some(id);
        }
        made.into_iter()
            .zip(by_place)
            .filter_map(|(made, id)| {
                Some(NewRecipient {
                    id: id?,
                    openid: made.openid,
                    row: made.row,
                    data: made.data,
                    page: made.page,
                    state: made.state,
                    reason: made.reason,
                    detail: made.detail,
                })
            })
            .collect()
    }
}

/// After a restart: what was made of the list before, so that no line is taken twice.
async fn remember(
    shared: &Shared,
    stored: &StoredCampaign,
    progress: &Progress,
    materials: &mut Materials,
) -> Result<(), Problem> {
    let store = shared.service.store();
    for lane in &progress.lanes {
        let Some((first, last)) = lane.ids else { continue };
        let mut after = Some(uuid::Uuid::from_u128(first.as_u128() - 1));
        while let Some(from) = after {
            let (texts, next) = store.campaign_texts(stored.number, lane.lane, (from, last), 5_000).await?;
            for (openid, data) in texts {
                materials.made_before(&openid, &data);
            }
            after = next;
        }
    }
    Ok(())
}

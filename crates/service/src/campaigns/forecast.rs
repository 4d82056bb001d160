//! What a start would do, before anybody presses the button.

use domain::ledger::{Standing, TemplateKind};
use serde::{Deserialize, Serialize};
use store::campaigns::StoredCampaign;
use uuid::Uuid;

use super::recipients::{Class, Made, Materials};
use super::request::Audience;
use crate::problem::Problem;
use crate::view::time;
use crate::{App, Service};

/// Rows looked at in one reading.
pub(super) const PAGE: i64 = 2_000;

/// How many recipients (messages, not people) a start would reach, and why not the others. `recipients` is the sum of
/// `reachable`, `unverified`, `reserved`, `spent`, `refused`, `no_record`, `invalid` and `duplicates`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Forecast {
    /// As of when.
    pub computed_at: String,
    /// How many in all.
    pub recipients: i64,
    /// Those with a grant that is free.
    pub reachable: i64,
    /// Those whose grants are all taken by messages under way.
    pub reserved: i64,
    /// Those whose grants are spent.
    pub spent: i64,
    /// Those who refused.
    pub refused: i64,
    /// Those of whom no grant is known.
    pub no_record: i64,
    /// Those whose balance is not certain: they are tried.
    pub unverified: i64,
    /// Lines that name nobody, texts that do not fit, people who are no guests while the app is on trial.
    pub invalid: i64,
    /// The same person with the same text again.
    pub duplicates: i64,
    /// Those who have no grant left after this.
    pub left_without_grant: i64,
}

impl Forecast {
    fn add(&mut self, class: Class, count: i64) {
        self.recipients += count;
        let place = match class {
            Class::Standing(Standing::Reachable) => &mut self.reachable,
            Class::Standing(Standing::Unverified) => &mut self.unverified,
            Class::Standing(Standing::Reserved) => &mut self.reserved,
            Class::Standing(Standing::Spent) => &mut self.spent,
            Class::Standing(Standing::Refused) => &mut self.refused,
            Class::Standing(Standing::NoRecord) => &mut self.no_record,
            Class::Invalid => &mut self.invalid,
            Class::Duplicate => &mut self.duplicates,
        };
        *place += count;
    }

    pub(super) fn count(&mut self, made: &Made) {
        self.add(made.class, 1);
        self.left_without_grant += i64::from(made.left == Some(0));
    }
}

impl Service {
    /// What a start of this campaign would do now.
    ///
    /// # Errors
    /// `campaign_not_found`, `template_gone`, where the database is away.
    pub async fn forecast(&self, app: &App, id: Uuid) -> Result<Forecast, Problem> {
        let campaign = self.stored_campaign(app, id).await?;
        self.forecast_of(app, &campaign).await
    }

    /// The same for a campaign that nobody has drafted yet; an upload it takes as it is, a given list not at all.
    ///
    /// # Errors
    /// `validation_failed` with each wrong field.
    pub async fn forecast_request(
        &self,
        app: &App,
        request: super::CampaignRequest,
    ) -> Result<Forecast, Problem> {
        let template_id = app.settings.template_id(request.template_id.clone());
        let asked = self.checked_new(app, request).await?;
        let campaign = StoredCampaign {
            number: 0,
            template_id,
            state: domain::campaign::CampaignState::Draft,
            paused_because: None,
            updated_at: asked.created_at,
            started_by: None,
            started_at: None,
            approved_by: None,
            finished_at: None,
            forecast: None,
            expanded_to: 0,
            expanded: false,
            asked,
        };
        self.forecast_of(app, &campaign).await
    }

    pub(super) async fn forecast_of(
        &self,
        app: &App,
        campaign: &StoredCampaign,
    ) -> Result<Forecast, Problem> {
        let mut forecast = Forecast { computed_at: time(self.now()), ..Forecast::default() };
        let mut materials = self.materials(app, campaign).await?;
        let audience: Audience =
            serde_json::from_str(&campaign.asked.audience).unwrap_or(Audience::Subscribers {});
        if campaign.asked.list.is_none()
            && matches!(audience, Audience::Subscribers {})
            && materials.is_plain()
            && !app.settings.trial
        {
            self.counted_alike(campaign, &materials, &mut forecast).await?;
            return Ok(forecast);
        }
        self.each_candidate(app, campaign, &mut materials, |made| forecast.count(&made)).await?;
        Ok(forecast)
    }

    /// Where nothing is to be looked up of each person, people who stand alike are counted together.
    async fn counted_alike(
        &self,
        campaign: &StoredCampaign,
        materials: &Materials,
        forecast: &mut Forecast,
    ) -> Result<(), Problem> {
        let until = campaign.started_at.unwrap_or_else(|| self.now());
        for lane in self.store.lanes().iter() {
            for (member, count, free) in
                self.store.members_alike(lane, campaign.asked.template, until).await?
            {
                let standing = member.subscription.standing(materials.kind(), member.reserved);
                forecast.add(Class::Standing(standing), count);
                if standing == Standing::Reachable && materials.kind() == TemplateKind::OneTime && free == 1 {
                    forecast.left_without_grant += count;
                }
            }
        }
        Ok(())
    }

    /// Goes through everybody as a start would.
    pub(super) async fn each_candidate(
        &self,
        app: &App,
        campaign: &StoredCampaign,
        materials: &mut Materials,
        mut each: impl FnMut(Made),
    ) -> Result<(), Problem> {
        if campaign.asked.list.is_some() {
            let mut after = 0;
            loop {
                let (candidates, last) = self.listed_candidates(campaign, materials, after, PAGE).await?;
                for candidate in candidates {
                    each(materials.make(candidate, |openid| self.may_receive(app, openid)));
                }
                match last {
                    Some(row) => after = row,
                    None => return Ok(()),
                }
            }
        }
        for lane in self.store.lanes().iter() {
            let mut after = String::new();
            loop {
                let (candidates, last) =
                    self.lane_candidates(campaign, materials, lane, &after, PAGE).await?;
                for candidate in candidates {
                    each(materials.make(candidate, |openid| self.may_receive(app, openid)));
                }
                match last {
                    Some(openid) => after = openid,
                    None => break,
                }
            }
        }
        Ok(())
    }
}

//! From recipients to messages: who is tried, who is not and why, and the text that each gets. The engine writes what this
//! says when a campaign is started; the forecast and the dry run count it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use domain::campaign::CampaignState;
use domain::ledger::{Standing, Subscription, TemplateKind, available};
use domain::message::State;
use domain::placeholder::Text;
use domain::segment::Segment;
use domain::{Lane, Millis};
use serde_json::{Map, Value};
use store::campaigns::{ListKind, ListedRecipient, Member, StoredCampaign};
use wechat::template;

use super::request::{Audience, Options};
use crate::messages::OnEmptyBalance;
use crate::problem::Problem;
use crate::templates::TemplateView;
use crate::{App, Service, checks, people};

/// Somebody who may get the campaign.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Whom; none where nobody has the given number.
    pub openid: Option<String>,
    /// The line of the list.
    pub row: Option<i64>,
    /// Values for placeholders: the list's columns before the person's attributes.
    pub values: HashMap<String, String>,
    /// Status and balance; none without any record.
    pub subscription: Option<Subscription>,
    /// Messages under way to this person with this template.
    pub reserved: i64,
    /// What is wrong with the line itself.
    pub wrong: Option<String>,
}

/// A candidate as a message.
#[derive(Debug, Clone)]
pub struct Made {
    /// The line of the list.
    pub row: Option<i64>,
    /// To whom; empty where nobody was found.
    pub openid: String,
    /// The fields and their values as a JSON object.
    pub data: String,
    /// The page that the card opens.
    pub page: Option<String>,
    /// queued, scheduled, skipped, cancelled.
    pub state: State,
    /// Why it is not tried.
    pub reason: Option<&'static str>,
    /// What exactly is wrong.
    pub detail: Option<String>,
    /// The class of the forecast.
    pub class: Class,
    /// Grants that are left over for others afterwards, where this one takes one.
    pub left: Option<i64>,
}

/// The classes of a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// By the person's standing.
    Standing(Standing),
    /// Not an openid, a text that does not fit, not a guest.
    Invalid,
    /// The same person and the same text before.
    Duplicate,
}

/// Everything that makes messages out of candidates.
#[derive(Debug)]
pub struct Materials {
    fields: Vec<(String, Text)>,
    page: Option<Text>,
    template: Arc<TemplateView>,
    /// The data, where they are the same for everybody.
    plain: Option<String>,
    needs_grant: bool,
    /// Names of placeholders.
    names: HashSet<String>,
    /// The state of what is to be sent.
    open: State,
    cancelled: bool,
    /// What was made before, where a list may say it twice.
    seen: HashSet<u64>,
    /// Grants taken by messages made in this pass and not yet kept.
    taken: HashMap<String, i64>,
}

impl Materials {
    /// For a campaign; `now` decides whether it is scheduled.
    pub(crate) fn new(
        campaign: &StoredCampaign,
        template: Arc<TemplateView>,
        now: Millis,
    ) -> Result<Self, Problem> {
        let data: BTreeMap<String, String> = serde_json::from_str(&campaign.asked.data).unwrap_or_default();
        let options: Options = serde_json::from_str(&campaign.asked.options).unwrap_or_default();
        let mut fields = Vec::with_capacity(data.len());
        for (key, text) in data {
            fields.push((key, Text::parse(&text).map_err(|error| unreadable(&error))?));
        }
        let page = campaign
            .asked
            .page
            .as_deref()
            .map(Text::parse)
            .transpose()
            .map_err(|error| unreadable(&error))?;
        let plain = fields.iter().all(|(_, text)| text.is_plain());
        let mut materials = Self {
            names: fields
                .iter()
                .flat_map(|(_, text)| text.names())
                .chain(page.iter().flat_map(Text::names))
                .map(str::to_owned)
                .collect(),
            needs_grant: options.on_empty_balance != Some(OnEmptyBalance::Try),
            fields,
            page,
            template,
            plain: None,
            open: if campaign.asked.send_at.is_some_and(|at| at > now) {
                State::Scheduled
            } else {
                State::Queued
            },
            cancelled: matches!(campaign.state, CampaignState::Cancelling | CampaignState::Cancelled),
            seen: HashSet::new(),
            taken: HashMap::new(),
        };
        if plain {
            materials.plain = materials.filled(&HashMap::new()).ok();
        }
        Ok(materials)
    }

    /// Whether values are needed to fill the fields.
    pub(crate) fn needs_values(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether every standing can be counted without looking at each person.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain.is_some() && self.names.is_empty()
    }

    /// One-time or long-term.
    pub(crate) fn kind(&self) -> TemplateKind {
        self.template.kind
    }

    /// What was kept is counted by the database from now on.
    pub fn kept(&mut self) {
        self.taken.clear();
    }

    /// What a restart has to know again: a message made before.
    pub fn made_before(&mut self, openid: &str, data: &str) {
        self.seen.insert(digest(openid, data));
    }

    /// Makes a message out of a candidate.
    pub fn make(&mut self, candidate: Candidate, may_receive: impl Fn(&str) -> bool) -> Made {
        let listed = candidate.row.is_some();
        let mut made = Made {
            row: candidate.row,
            openid: candidate.openid.clone().unwrap_or_default(),
            data: "{}".to_owned(),
            page: None,
            state: State::Skipped,
            reason: None,
            detail: None,
            class: Class::Invalid,
            left: None,
        };
        if let Some(wrong) = candidate.wrong {
            (made.reason, made.detail) = (Some("invalid"), Some(wrong));
            return made;
        }
        let Some(openid) = candidate.openid else {
            (made.reason, made.class) = (Some("unknown_recipient"), Class::Standing(Standing::NoRecord));
            return made;
        };
        match self.filled(&candidate.values).and_then(|data| Ok((data, self.filled_page(&candidate.values)?)))
        {
            Ok((data, page)) => (made.data, made.page) = (data, page),
            Err(wrong) => {
                (made.reason, made.detail) = (Some("invalid"), Some(wrong));
                return made;
            }
        }
        if listed && !self.seen.insert(digest(&openid, &made.data)) {
            (made.reason, made.class) = (Some("duplicate"), Class::Duplicate);
            return made;
        }
        if !may_receive(&openid) {
            made.reason = Some("not_a_guest");
            return made;
        }
        let taken = self.taken.get(&openid).copied().unwrap_or(0);
        let under_way = candidate.reserved + taken;
        let standing = match &candidate.subscription {
            Some(subscription) => subscription.standing(self.template.kind, under_way),
            None => Standing::NoRecord,
        };
        made.class = Class::Standing(standing);
        let tried = !self.needs_grant || matches!(standing, Standing::Reachable | Standing::Unverified);
        if !tried {
            made.reason = Some("no_grant");
        } else if self.cancelled {
            (made.state, made.reason) = (State::Cancelled, Some("campaign_cancelled"));
        } else {
            made.state = self.open;
        }
        if made.state == self.open && listed {
            *self.taken.entry(openid).or_default() += 1;
        }
        if standing == Standing::Reachable && self.template.kind == TemplateKind::OneTime {
            let balance = candidate.subscription.map_or(0, |subscription| subscription.balance);
            made.left = Some(available(balance, under_way + 1));
        }
        made
    }

    /// The data with the values filled in, or what is wrong in a few words.
    fn filled(&self, values: &HashMap<String, String>) -> Result<String, String> {
        if let Some(plain) = &self.plain {
            return Ok(plain.clone());
        }
        let mut data = BTreeMap::new();
        for (key, text) in &self.fields {
            let filled = text.fill(|name| values.get(name).map(String::as_str));
            data.insert(key.clone(), filled.map_err(|error| format!("{key}: {error}"))?);
        }
        let problems = template::check(&self.template.fields, &data);
        if let Some(problem) = problems.first() {
            return Err(format!("{}: {}", problem.key, problem.code.as_str()));
        }
        serde_json::to_string(&data).map_err(|error| error.to_string())
    }

    fn filled_page(&self, values: &HashMap<String, String>) -> Result<Option<String>, String> {
        let Some(page) = &self.page else { return Ok(None) };
        let filled = page.fill_url(|name| values.get(name).map(String::as_str));
        filled.map(Some).map_err(|error| format!("page: {error}"))
    }
}

fn unreadable(error: &domain::placeholder::TextError) -> Problem {
    // It was parsed when the draft was kept.
    Problem::new(crate::Kind::Invalid, "invalid_placeholder", error.to_string(), error.to_string())
}

/// Enough to tell a million messages apart.
fn digest(openid: &str, data: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (openid, data).hash(&mut hasher);
    hasher.finish()
}

impl Service {
    /// What a campaign is made of.
    ///
    /// # Errors
    /// Where the database is away, or its template is gone.
    pub async fn materials(&self, app: &App, campaign: &StoredCampaign) -> Result<Materials, Problem> {
        let template = self.template(app, &campaign.template_id).await?.ok_or_else(|| {
            Problem::new(
                crate::Kind::Conflict,
                "template_gone",
                format!("模板 {} 已不存在，请换用现有模板。", campaign.template_id),
                format!("The template {} no longer exists; use another one.", campaign.template_id),
            )
        })?;
        Materials::new(campaign, template, self.now())
    }

    /// The next subscribers of a lane, and the openid of the last one looked at (none at the end).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn lane_candidates(
        &self,
        campaign: &StoredCampaign,
        materials: &Materials,
        lane: Lane,
        after: &str,
        limit: i64,
    ) -> Result<(Vec<Candidate>, Option<String>), Problem> {
        let until = campaign.started_at.unwrap_or_else(|| self.now());
        let members = self.store.members(lane, campaign.asked.template, after, until, limit).await?;
        let last = members.last().map(|member| member.openid.clone());
        let audience: Audience =
            serde_json::from_str(&campaign.asked.audience).unwrap_or(Audience::Subscribers {});
        let fitting = self.fitting(campaign.asked.app, &audience, members).await?;
        let mut values =
            self.values_of(campaign.asked.app, materials, fitting.iter().map(|m| m.openid.clone())).await?;
        let candidates = fitting
            .into_iter()
            .map(|member| Candidate {
                row: None,
                values: values.remove(&member.openid).unwrap_or_default(),
                reserved: member.reserved,
                subscription: Some(member.subscription),
                openid: Some(member.openid),
                wrong: None,
            })
            .collect();
        Ok((candidates, last))
    }

    /// The next lines of a campaign's list, and the last one looked at (none at the end).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn listed_candidates(
        &self,
        campaign: &StoredCampaign,
        materials: &Materials,
        after: i64,
        limit: i64,
    ) -> Result<(Vec<Candidate>, Option<i64>), Problem> {
        let Some(list) = campaign.asked.list else { return Ok((Vec::new(), None)) };
        let listed = self.store.listed(list, after, limit).await?;
        let last = listed.last().map(|line| line.row);
        let found = self.found(campaign.asked.app, &listed).await?;
        let openids: Vec<String> = found.values().filter_map(|found| found.clone().ok()).flatten().collect();
        let members = self.store.members_of(campaign.asked.template, &openids).await?;
        let values = self.values_of(campaign.asked.app, materials, openids.into_iter()).await?;
        let candidates = listed
            .into_iter()
            .map(|line| {
                let (openid, wrong) = match found.get(&line.row) {
                    Some(Ok(openid)) => (openid.clone(), None),
                    Some(Err(wrong)) if line.kind == ListKind::Openid => {
                        (Some(line.given.clone()), Some(wrong.clone()))
                    }
                    Some(Err(wrong)) => (None, Some(wrong.clone())),
                    None => (None, None),
                };
                let mut own =
                    openid.as_ref().and_then(|openid| values.get(openid).cloned()).unwrap_or_default();
                let vars: Map<String, Value> = serde_json::from_str(&line.vars).unwrap_or_default();
                own.extend(vars.into_iter().filter_map(|(name, value)| Some((name, text(&value)?))));
                let member = openid.as_ref().and_then(|openid| members.get(openid));
                Candidate {
                    row: Some(line.row),
                    values: own,
                    reserved: member.map_or(0, |member| member.reserved),
                    subscription: member.map(|member| member.subscription.clone()),
                    openid,
                    wrong,
                }
            })
            .collect();
        Ok((candidates, last))
    }

    /// Whom each line means: nobody, one person, or what is wrong with it.
    async fn found(
        &self,
        app: i64,
        listed: &[ListedRecipient],
    ) -> Result<HashMap<i64, Result<Option<String>, String>>, Problem> {
        let mut found = HashMap::with_capacity(listed.len());
        let mut wanted: BTreeMap<String, Vec<&ListedRecipient>> = BTreeMap::new();
        for line in listed {
            match &line.kind {
                ListKind::Openid if checks::openid(&line.given) => {
                    found.insert(line.row, Ok(Some(line.given.clone())));
                }
                ListKind::Openid => {
                    found.insert(line.row, Err("to: invalid_openid".to_owned()));
                }
                ListKind::Wrong(what) => {
                    found.insert(line.row, Err(what.clone()));
                }
                ListKind::ExternalId => wanted.entry("external_id".to_owned()).or_default().push(line),
                ListKind::Attribute(name) => wanted.entry(name.clone()).or_default().push(line),
            }
        }
        for (name, lines) in wanted {
            let given: Vec<String> = lines.iter().map(|line| line.given.clone()).collect();
            let people = self.resolved(app, &name, &given).await?;
            for line in lines {
                let verdict = match people.get(&line.given).map(Vec::as_slice) {
                    None | Some([]) => Ok(None),
                    Some([one]) => Ok(Some(one.clone())),
                    Some(several) => Err(format!("to: ambiguous_recipient ({})", several.len())),
                };
                found.insert(line.row, verdict);
            }
        }
        Ok(found)
    }

    /// Those who fit an audience.
    async fn fitting(
        &self,
        app: i64,
        audience: &Audience,
        members: Vec<Member>,
    ) -> Result<Vec<Member>, Problem> {
        let Audience::Segment { tags, condition } = audience else { return Ok(members) };
        // It was parsed when the draft was kept.
        let condition = condition.as_ref().and_then(|condition| Segment::parse(condition).ok());
        let openids: Vec<String> = members.iter().map(|member| member.openid.clone()).collect();
        let people = self.store.people_of(app, &openids).await?;
        let fits = |member: &Member| {
            let person = people.get(&member.openid);
            let own = person.map(|person| person.tags.as_slice()).unwrap_or_default();
            tags.iter().all(|tag| own.contains(tag))
                && condition
                    .as_ref()
                    .is_none_or(|condition| condition.fits(&person.map(people::values).unwrap_or_default()))
        };
        Ok(members.into_iter().filter(fits).collect())
    }

    /// Attributes of people as values for placeholders, where a campaign asks for any.
    async fn values_of(
        &self,
        app: i64,
        materials: &Materials,
        openids: impl Iterator<Item = String>,
    ) -> Result<HashMap<String, HashMap<String, String>>, Problem> {
        if !materials.needs_values() {
            return Ok(HashMap::new());
        }
        let openids: Vec<String> = openids.collect();
        let people = self.store.people_of(app, &openids).await?;
        let texts = |person: &store::people::Person| {
            people::values(person)
                .into_iter()
                .filter_map(|(name, value)| Some((name, text(&value)?)))
                .collect()
        };
        Ok(people.iter().map(|(openid, person)| (openid.clone(), texts(person))).collect())
    }

    /// People by an external id or attribute.
    async fn resolved(
        &self,
        app: i64,
        name: &str,
        given: &[String],
    ) -> Result<HashMap<String, Vec<String>>, Problem> {
        // Of a removed app nobody is found.
        match self.apps.by_number(app) {
            Some(app) => self.found_people(&app, name, given).await,
            None => Ok(HashMap::new()),
        }
    }
}

/// A value as it stands in a text.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

//! Drafts: checking what is asked, keeping it, changing it, copying it.

use std::collections::{BTreeMap, HashSet};

use domain::Millis;
use domain::placeholder::Text;
use domain::segment::Segment;
use serde_json::Value;
use store::campaigns::{CampaignKept, ListKind, ListedRecipient, NewCampaign, StoredCampaign};
use store::hot::enqueue::Idempotency;
use uuid::Uuid;
use wechat::template::{self, ProblemCode};

use super::request::{Audience, CampaignRequest, Listed, ListedTo};
use super::view::CampaignView;
use crate::messages::{due_at, expire_at, one_of, values};
use crate::problem::{FieldError, Kind, Problem};
use crate::{App, Service, checks};

/// Longest name of a campaign.
const NAME: usize = 100;
/// Highest rate that can be asked for.
const FASTEST: u32 = 10_000;

/// A draft that was kept.
#[derive(Debug, Clone)]
pub struct Drafted {
    /// The draft.
    pub campaign: CampaignView,
    /// Whether the key answered an earlier one.
    pub replayed: bool,
}

/// A checked request, and its list.
struct Checked {
    new: NewCampaign,
    list: Option<Vec<ListedRecipient>>,
}

impl Service {
    /// Keeps a draft.
    ///
    /// # Errors
    /// `validation_failed` with each wrong field.
    pub async fn draft_campaign(
        &self,
        app: &App,
        request: CampaignRequest,
        by: &str,
        key: Option<&str>,
    ) -> Result<Drafted, Problem> {
        let key = match key {
            Some(key) => Some(self.draft_key(app, key, &request)?),
            None => None,
        };
        let checked = self.checked_campaign(app, request, by, None).await?;
        let (id, list) = (checked.new.id, checked.new.list);
        self.keep_list(&checked.new, checked.list).await?;
        let kept = self.store.add_campaign(checked.new, key).await?;
        if kept != CampaignKept::New
            && let Some(list) = list
        {
            self.store.remove_list(list).await?;
        }
        match kept {
            CampaignKept::New => Ok(Drafted { campaign: self.campaign(app, id).await?, replayed: false }),
            CampaignKept::Replayed(earlier) => {
                Ok(Drafted { campaign: self.campaign(app, earlier).await?, replayed: true })
            }
            CampaignKept::KeyReused => Err(crate::messages::key_reused()),
        }
    }

    fn draft_key(&self, app: &App, key: &str, request: &CampaignRequest) -> Result<Idempotency, Problem> {
        if !crate::messages::is_key(key) {
            return Err(crate::messages::bad_key().into());
        }
        // Beside the keys of messages: the same word may stand for both.
        let key = format!("campaign:{key}");
        Ok(Idempotency {
            lane: self.store.lanes().of_key(app.number, &key),
            digest: crate::messages::digest(request),
            key,
        })
    }

    /// Changes a draft: what is given takes the place of what was asked.
    ///
    /// # Errors
    /// `campaign_not_found`, `wrong_state`, `validation_failed`.
    pub async fn redraft_campaign(
        &self,
        app: &App,
        id: Uuid,
        change: Value,
    ) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        let mut asked = self.asked_again(&stored);
        let Value::Object(change) = change else { return Err(not_an_object()) };
        for (name, value) in change {
            asked[&name] = value;
        }
        let request: CampaignRequest = serde_json::from_value(asked).map_err(|error| unreadable(&error))?;
        let before: Option<Audience> = serde_json::from_str(&stored.asked.audience).ok();
        let kept = match &request.audience {
            Audience::Recipients { recipients, .. } => recipients.is_empty(),
            Audience::Upload { upload_id, .. } => {
                matches!(&before, Some(Audience::Upload { upload_id: same, .. }) if same == upload_id)
            }
            _ => false,
        };
        let by = stored.asked.created_by.clone();
        let mut checked =
            self.checked_campaign(app, request, &by, stored.asked.list.filter(|_| kept)).await?;
        checked.new.id = stored.asked.id;
        self.keep_list(&checked.new, checked.list).await?;
        let list = checked.new.list;
        if !self.store.redraft_campaign(stored.number, checked.new, self.now()).await? {
            let state = self.stored_campaign(app, id).await?.state;
            return Err(Problem::new(
                Kind::Conflict,
                "wrong_state",
                format!("只能修改草稿；这个任务现在是 {state}。可以复制成新的草稿再改。"),
                format!(
                    "Only drafts can be changed; this campaign is {state}. Copy it to a new draft instead."
                ),
            ));
        }
        if let Some(before) = stored.asked.list.filter(|before| Some(*before) != list) {
            self.store.remove_list(before).await?;
        }
        self.campaign(app, id).await
    }

    /// Forgets a draft.
    ///
    /// # Errors
    /// `campaign_not_found`, `wrong_state`.
    pub async fn remove_campaign(&self, app: &App, id: Uuid) -> Result<(), Problem> {
        let stored = self.stored_campaign(app, id).await?;
        if !self.store.remove_campaign(stored.number).await? {
            return Err(Problem::new(
                Kind::Conflict,
                "wrong_state",
                format!("只能删除草稿；这个任务现在是 {}。", stored.state),
                format!("Only drafts can be removed; this campaign is {}.", stored.state),
            ));
        }
        if let Some(list) = stored.asked.list {
            self.store.remove_list(list).await?;
        }
        Ok(())
    }

    /// A new draft that says the same.
    ///
    /// # Errors
    /// `campaign_not_found`.
    pub async fn copy_campaign(&self, app: &App, id: Uuid, by: &str) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        let now = self.now();
        // What lies behind us is not asked for again.
        let ahead = |at: Option<Millis>| at.filter(|at| *at > now);
        let new = NewCampaign {
            id: self.new_campaign_id(),
            name: stored.asked.name.chars().take(NAME - 3).chain("（2）".chars()).collect(),
            send_at: ahead(stored.asked.send_at),
            expire_at: ahead(stored.asked.expire_at),
            created_by: by.to_owned(),
            created_at: now,
            ..stored.asked
        };
        let id = new.id;
        self.store.add_campaign(new, None).await?;
        self.campaign(app, id).await
    }

    async fn keep_list(&self, new: &NewCampaign, rows: Option<Vec<ListedRecipient>>) -> Result<(), Problem> {
        if let (Some(list), Some(rows)) = (new.list, rows) {
            self.store.add_list(list, rows).await?;
        }
        Ok(())
    }

    fn new_campaign_id(&self) -> Uuid {
        domain::MessageId::new(self.now(), domain::Lane(0), &*self.entropy).0
    }

    /// A stored campaign as the request that would make it.
    fn asked_again(&self, stored: &StoredCampaign) -> Value {
        let mut asked: Value = serde_json::from_str(&stored.asked.options).unwrap_or_default();
        let time = |at: Option<Millis>| at.map(crate::view::time);
        asked["name"] = stored.asked.name.clone().into();
        asked["template_id"] = stored.template_id.clone().into();
        asked["data"] = serde_json::from_str(&stored.asked.data).unwrap_or_default();
        asked["page"] = stored.asked.page.clone().into();
        asked["miniprogram_state"] = stored.asked.version.clone().into();
        asked["lang"] = stored.asked.lang.clone().into();
        asked["audience"] = serde_json::from_str(&stored.asked.audience).unwrap_or_default();
        asked["send_at"] = time(stored.asked.send_at).into();
        asked["expire_at"] = time(stored.asked.expire_at).into();
        asked
    }

    async fn checked_campaign(
        &self,
        app: &App,
        mut request: CampaignRequest,
        by: &str,
        kept: Option<Uuid>,
    ) -> Result<Checked, Problem> {
        let now = self.now();
        request.template_id = app.settings.template_id(request.template_id);
        let mut errors = Vec::new();
        let uploaded = self.take_upload(app, &mut request, kept, &mut errors).await?;
        let name = request.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME {
            errors.push(FieldError::new(
                "/name",
                "invalid_name",
                format!("name 应为 1 到 {NAME} 个字。"),
                format!("name has 1 to {NAME} characters."),
            ));
        }
        let data = values(&request.data, &mut errors);
        let mut named = check_texts(&data, &mut errors);
        let template = self.template(app, &request.template_id).await?;
        match &template {
            None => errors.push(crate::messages::unknown_template(app, &request.template_id)),
            Some(template) if template.gone => {
                errors.push(crate::messages::template_gone(&request.template_id));
            }
            Some(template) => check_fields(template, &data, &mut errors),
        }
        let page = request.page.as_deref().filter(|page| !page.is_empty()).and_then(|page| {
            match Text::parse(page) {
                Ok(text) => named.extend(text.names().into_iter().map(str::to_owned)),
                Err(error) => errors.push(placeholder("/page", &error)),
            }
            // Placeholders hold signs that a page may not; what they stand for is encoded.
            let plain = plain_page(page);
            checks::page(&plain)
                .map(|_| page.strip_prefix('/').unwrap_or(page).to_owned())
                .map_err(|error| errors.push(error))
                .ok()
        });
        let version = one_of(
            "/miniprogram_state",
            request.miniprogram_state.as_deref(),
            &["formal", "trial", "developer"],
            &mut errors,
        );
        let lang =
            one_of("/lang", request.lang.as_deref(), &["zh_CN", "en_US", "zh_HK", "zh_TW"], &mut errors);
        let send_at = request
            .send_at
            .as_deref()
            .map(|text| due_at(Some(text), now, &mut errors))
            .filter(|at| *at > now);
        let expires = request.expire_at.as_deref();
        let expire_at = expires.map(|text| expire_at(Some(text), send_at.unwrap_or(now), now, &mut errors));
        check_options(&request.options, &mut errors);
        let (audience, list) =
            self.check_audience(app, request.audience, kept.is_some(), &mut errors).await?;
        let (Some(template), true) = (template, errors.is_empty()) else {
            return Err(Problem::fields(errors));
        };
        let id = self.new_campaign_id();
        let new = NewCampaign {
            id,
            app: app.number,
            name,
            template: template.number,
            data: serde_json::to_string(&data).unwrap_or_default(),
            page,
            version,
            lang,
            audience: serde_json::to_string(&audience).unwrap_or_default(),
            options: serde_json::to_string(&request.options).unwrap_or_default(),
            list: if list.is_some() { Some(self.new_campaign_id()) } else { uploaded.or(kept) },
            send_at,
            expire_at,
            created_by: by.to_owned(),
            created_at: now,
        };
        Ok(Checked { new, list })
    }

    /// Whether a request would be taken.
    ///
    /// # Errors
    /// `validation_failed` with each wrong field.
    pub(crate) async fn check_campaign(
        &self,
        app: &App,
        request: CampaignRequest,
        by: &str,
    ) -> Result<(), Problem> {
        self.checked_campaign(app, request, by, None).await.map(drop)
    }

    /// A checked request, as it would be kept.
    pub(super) async fn checked_new(
        &self,
        app: &App,
        request: CampaignRequest,
    ) -> Result<NewCampaign, Problem> {
        Ok(self.checked_campaign(app, request, "", None).await?.new)
    }

    /// The list of an upload, where one is the audience; its mapping fills the fields that are not given.
    async fn take_upload(
        &self,
        app: &App,
        request: &mut CampaignRequest,
        kept: Option<Uuid>,
        errors: &mut Vec<FieldError>,
    ) -> Result<Option<Uuid>, Problem> {
        let Audience::Upload { upload_id, count } = &mut request.audience else { return Ok(None) };
        let (upload, asked, report) = match self.ready_upload(app, upload_id).await? {
            Ok(found) => found,
            // The file may be gone, the rows are the campaign's.
            Err(_) if kept.is_some() => return Ok(kept),
            Err((error, found)) => {
                errors.push(error);
                // So that no field is called missing that its columns would fill.
                fill(request, found.map(|report| report.mapping).unwrap_or_default());
                return Ok(None);
            }
        };
        *count = i64::try_from(report.messages + (report.rows - report.valid)).ok();
        if asked.template_id.as_ref().is_some_and(|id| *id != request.template_id) {
            errors.push(FieldError::new(
                "/template_id",
                "other_template",
                "上传的表是按另一个模板检查的；请用同一个模板，或重新设置上传的 template_id。",
                "The upload was checked for another template; use that one, or set the upload's template_id again.",
            ));
        }
        fill(request, report.mapping);
        Ok(Some(upload.list))
    }

    async fn check_audience(
        &self,
        app: &App,
        audience: Audience,
        kept: bool,
        errors: &mut Vec<FieldError>,
    ) -> Result<(Audience, Option<Vec<ListedRecipient>>), Problem> {
        match audience {
            Audience::Recipients { count, .. } if kept => {
                Ok((Audience::Recipients { recipients: Vec::new(), count }, None))
            }
            Audience::Recipients { recipients, .. } => {
                let count = i64::try_from(recipients.len()).unwrap_or(i64::MAX);
                let list = listed(app, recipients, errors);
                Ok((Audience::Recipients { recipients: Vec::new(), count: Some(count) }, Some(list)))
            }
            // Its rows are a list already.
            Audience::Upload { .. } => Ok((audience, None)),
            Audience::Segment { tags, condition } => {
                if let Some(Err(error)) = condition.as_ref().map(Segment::parse) {
                    errors.push(FieldError::new(
                        format!("/audience/where{}", error.pointer),
                        "invalid_condition",
                        format!("条件有误：{}。写法：{{\"attr\":\"building\",\"op\":\"eq\",\"value\":\"3\"}}，可用 and、or、not 组合。", error.what),
                        format!("The condition is wrong: {}. It is written {{\"attr\":\"building\",\"op\":\"eq\",\"value\":\"3\"}}, combined by and, or, not.", error.what),
                    ));
                }
                Ok((Audience::Segment { tags, condition }, None))
            }
            Audience::Subscribers {} => Ok((Audience::Subscribers {}, None)),
        }
    }
}

/// Takes the mapped columns for fields that are not given.
fn fill(request: &mut CampaignRequest, mapping: crate::uploads::Mapping) {
    for (field, column) in mapping.fields {
        request.data.entry(field).or_insert_with(|| format!("{{{{{column}}}}}").into());
    }
}

/// The page without its placeholders.
fn plain_page(page: &str) -> String {
    let mut plain = String::new();
    let mut rest = page;
    while let Some((before, from)) = rest.split_once("{{") {
        plain.push_str(before);
        plain.push('x');
        rest = from.split_once("}}").map_or("", |(_, after)| after);
    }
    plain + rest
}

fn placeholder(pointer: impl Into<String>, error: &domain::placeholder::TextError) -> FieldError {
    FieldError::new(
        pointer,
        "invalid_placeholder",
        format!(
            "占位符写法有误（{error}）。写法：{{{{列名}}}}、{{{{金额|money}}}}、{{{{日期|date}}}}、{{{{时间|time}}}}、{{{{称呼|default:业主}}}}。"
        ),
        format!(
            "A placeholder is wrong: {error}. They are written {{{{column}}}}, {{{{fee|money}}}}, {{{{day|date}}}}, {{{{at|time}}}}, {{{{who|default:Resident}}}}."
        ),
    )
}

/// Parses every field; gives the names of all placeholders.
fn check_texts(data: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) -> HashSet<String> {
    let mut named = HashSet::new();
    for (key, value) in data {
        match Text::parse(value) {
            Ok(text) => named.extend(text.names().into_iter().map(str::to_owned)),
            Err(error) => errors.push(placeholder(format!("/data/{key}"), &error)),
        }
    }
    named
}

/// What can be known of the fields before they are filled.
fn check_fields(
    template: &crate::templates::TemplateView,
    data: &BTreeMap<String, String>,
    errors: &mut Vec<FieldError>,
) {
    let filled_later = |key: &str| {
        data.get(key).and_then(|value| Text::parse(value).ok()).is_some_and(|text| !text.is_plain())
    };
    for problem in template::check(&template.fields, data) {
        let about_key = matches!(problem.code, ProblemCode::Missing | ProblemCode::UnknownField);
        if about_key || !filled_later(&problem.key) {
            errors.push(crate::messages::field_error(&problem));
        }
    }
}

fn check_options(options: &super::request::Options, errors: &mut Vec<FieldError>) {
    if options.rate_per_second.is_some_and(|rate| rate == 0 || rate > FASTEST) {
        errors.push(FieldError::new(
            "/rate_per_second",
            "invalid_rate",
            format!("rate_per_second 应在 1 到 {FASTEST} 之间；不限速请不要传。"),
            format!("rate_per_second lies between 1 and {FASTEST}; leave it out for no limit."),
        ));
    }
    if let Some(Err(error)) = options.window.as_ref().map(super::request::WindowRequest::window) {
        errors.push(FieldError::new(
            "/window",
            "invalid_window",
            format!("发送时段有误：{error}。例如 {{\"from\":\"08:00\",\"to\":\"21:00\",\"time_zone\":\"Asia/Shanghai\"}}。"),
            format!("The sending window is wrong: {error}. For example {{\"from\":\"08:00\",\"to\":\"21:00\",\"time_zone\":\"Asia/Shanghai\"}}."),
        ));
    }
}

/// The lines of a list. A malformed openid is a recipient all the same: it counts as invalid and ends as skipped.
fn listed(app: &App, recipients: Vec<Listed>, errors: &mut Vec<FieldError>) -> Vec<ListedRecipient> {
    let mut rows = Vec::with_capacity(recipients.len());
    for (at, listed) in recipients.into_iter().enumerate() {
        let pointer = format!("/audience/recipients/{at}/to");
        let (kind, given) = match listed.to {
            ListedTo::Openid(openid) => (ListKind::Openid, openid),
            ListedTo::Found(by) => match found_by(&by) {
                Some((ListKind::Attribute(name), _))
                    if !app.settings.attributes.get(&name).is_some_and(|kind| kind.key) =>
                {
                    errors.push(FieldError::new(
                        pointer,
                        "no_key_attribute",
                        format!("属性 {name} 没有登记为可查找（key），见应用设置 attributes。"),
                        format!("The attribute {name} is not registered as a key: see the app's setting attributes."),
                    ));
                    continue;
                }
                Some(found) => found,
                None => {
                    errors.push(FieldError::new(
                        pointer,
                        "invalid_recipient",
                        "to 应是 openid，或 {\"external_id\": \"…\"}，或 {\"attribute\": {\"名称\": \"值\"}}。",
                        "`to` is an openid, {\"external_id\": \"…\"} or {\"attribute\": {\"name\": \"value\"}}.",
                    ));
                    continue;
                }
            },
        };
        rows.push(ListedRecipient {
            row: i64::try_from(at + 1).unwrap_or(i64::MAX),
            sheet_row: None,
            kind,
            given,
            vars: serde_json::to_string(&listed.vars).unwrap_or_else(|_| "{}".to_owned()),
        });
    }
    rows
}

fn found_by(by: &serde_json::Map<String, Value>) -> Option<(ListKind, String)> {
    let mut entries = by.iter();
    let (name, value) = entries.next()?;
    if entries.next().is_some() {
        return None;
    }
    match (name.as_str(), value) {
        ("external_id", value) => Some((ListKind::ExternalId, super::recipients::text(value)?)),
        ("attribute", Value::Object(attribute)) if attribute.len() == 1 => {
            let (name, value) = attribute.iter().next()?;
            Some((ListKind::Attribute(name.clone()), super::recipients::text(value)?))
        }
        _ => None,
    }
}

fn unreadable(error: &serde_json::Error) -> Problem {
    Problem::new(
        Kind::Invalid,
        "invalid_body",
        format!("请求内容的格式有误：{error}"),
        format!("The request is not of the right form: {error}"),
    )
}

fn not_an_object() -> Problem {
    Problem::new(
        Kind::Invalid,
        "invalid_body",
        "请求内容应是一个 JSON 对象。",
        "The request is one JSON object.",
    )
}

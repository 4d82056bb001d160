//! People by what the team knows of them: keeping, showing, finding, importing. Sensitive attributes are shown masked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use domain::Millis;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::people::{EXTERNAL_ID, Person, PersonKept, PersonKey};

use crate::problem::{FieldError, Kind, Problem};
use crate::view::time;
use crate::{App, Service, checks};

/// People of one call.
pub const BATCH: usize = 1_000;
/// Tags and attributes of one person, and the length of each.
const MOST: usize = 100;
const LONGEST: usize = 500;

/// How an attribute is kept; declared in the app's settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttributeKind {
    /// People can be found by it.
    pub key: bool,
    /// It is kept sealed and shown masked.
    pub sensitive: bool,
}

/// What is known of a person, as it is given: it takes the place of what was known before.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonRequest {
    /// In a list: of whom.
    #[serde(default)]
    pub openid: Option<String>,
    /// The team's own number, unique in the app.
    #[serde(default)]
    pub external_id: Option<String>,
    /// WeChat's number across apps.
    #[serde(default)]
    pub unionid: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Texts, numbers, true or false by name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
}

/// A person.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PersonView {
    /// Who.
    pub openid: String,
    /// The team's own number.
    pub external_id: Option<String>,
    /// WeChat's number across apps.
    pub unionid: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Attributes; sensitive ones masked.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// First known.
    pub created_at: String,
    /// Last change.
    pub updated_at: String,
}

/// A guest.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct GuestView {
    /// Who.
    pub openid: String,
    /// Whose telephone that is.
    pub note: Option<String>,
}

/// The guests of all apps, in memory.
#[derive(Debug, Default)]
pub(crate) struct Guests(RwLock<HashSet<(i64, String)>>, tokio::sync::Mutex<()>);

impl From<Person> for PersonView {
    fn from(person: Person) -> Self {
        let mut attributes = person.attributes;
        attributes.extend(person.sensitive.into_iter().map(|(name, value)| (name, masked(&value))));
        Self {
            openid: person.openid,
            external_id: person.external_id,
            unionid: person.unionid,
            tags: person.tags,
            attributes,
            created_at: time(person.created_at),
            updated_at: time(person.updated_at),
        }
    }
}

/// 13800138000 as 138****8000.
fn masked(value: &Value) -> Value {
    let text: Vec<char> = value.as_str().map_or_else(|| value.to_string(), str::to_owned).chars().collect();
    let shown = if text.len() >= 8 { (3, 4) } else { (1.min(text.len() / 2), 0) };
    let mut masked: String = text.iter().take(shown.0).collect();
    masked.push_str("****");
    masked.extend(text.iter().skip(text.len() - shown.1));
    masked.into()
}

/// What a person's attributes are to a condition or a placeholder.
pub(crate) fn values(person: &Person) -> HashMap<String, Value> {
    let all = person.attributes.iter().chain(&person.sensitive);
    let mut values: HashMap<String, Value> = all.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(external_id) = &person.external_id {
        values.entry(EXTERNAL_ID.to_owned()).or_insert_with(|| external_id.clone().into());
    }
    values
}

impl Service {
    /// Keeps what is known of one person; tells whether the person is new.
    ///
    /// # Errors
    /// `validation_failed`, `external_id_taken`.
    pub async fn put_person(
        &self,
        app: &App,
        openid: &str,
        mut request: PersonRequest,
    ) -> Result<(PersonView, bool), Problem> {
        if request.openid.as_deref().is_some_and(|given| given != openid) {
            return Err(FieldError::new(
                "/openid",
                "invalid_openid",
                "openid 与路径中的不一致。",
                "The openid differs from that in the path.",
            )
            .into());
        }
        request.openid = Some(openid.to_owned());
        let mut verdicts = self.put_people(app, vec![request]).await?;
        verdicts.pop().unwrap_or_else(|| Err(no_person()))
    }

    /// Keeps what is known of up to 1,000 people, each with a verdict.
    ///
    /// # Errors
    /// Where the list as a whole cannot be taken.
    pub async fn put_people(
        &self,
        app: &App,
        requests: Vec<PersonRequest>,
    ) -> Result<Vec<Result<(PersonView, bool), Problem>>, Problem> {
        if requests.len() > BATCH {
            return Err(Problem::new(
                Kind::Invalid,
                "batch_too_large",
                format!("一次最多 {BATCH} 人，收到 {}；请分批提交。", requests.len()),
                format!("{BATCH} people at once at most, not {}; send several batches.", requests.len()),
            ));
        }
        let now = self.now();
        let checked: Vec<Result<Person, Problem>> =
            requests.into_iter().map(|request| person(app, request, now)).collect();
        let good: Vec<Person> = checked.iter().filter_map(|person| person.as_ref().ok().cloned()).collect();
        let openids: Vec<String> = good.iter().map(|person| person.openid.clone()).collect();
        let mut kept = self.store.put_people(app.number, good).await?.into_iter();
        let known = self.store.people_of(app.number, &openids).await?;
        Ok(checked
            .into_iter()
            .map(|person| {
                let person = person?;
                match kept.next() {
                    Some(PersonKept::Taken) | None => Err(taken(&person)),
                    Some(verdict) => {
                        let person = known.get(&person.openid).cloned().unwrap_or(person);
                        Ok((person.into(), verdict == PersonKept::Created))
                    }
                }
            })
            .collect())
    }

    /// One person.
    ///
    /// # Errors
    /// `subscriber_not_found`.
    pub async fn person(&self, app: &App, openid: &str) -> Result<PersonView, Problem> {
        Ok(self.store.person(app.number, openid).await?.ok_or_else(no_person)?.into())
    }

    /// A page of people; `tag` and `attribute` leave out those who do not fit, so that a page may be short.
    ///
    /// # Errors
    /// Where the database is away; an attribute that is no key.
    pub async fn people(
        &self,
        app: &App,
        found_by: Option<(&str, &str)>,
        tag: Option<&str>,
        after: Option<PersonKey>,
        limit: i64,
    ) -> Result<(Vec<PersonView>, Option<PersonKey>), Problem> {
        let (people, next) = match found_by {
            Some((name, value)) => {
                let found = self.found_people(app, name, &[value.to_owned()]).await?;
                let openids: Vec<String> = found.into_values().flatten().collect();
                let mut people: Vec<Person> =
                    self.store.people_of(app.number, &openids).await?.into_values().collect();
                people.sort_by(|a, b| a.openid.cmp(&b.openid));
                (people, None)
            }
            None => self.store.people(app.number, after, limit).await?,
        };
        let fits = |person: &Person| tag.is_none_or(|tag| person.tags.iter().any(|own| own == tag));
        Ok((people.into_iter().filter(fits).map(PersonView::from).collect(), next))
    }

    /// Who has these external ids, or these values of a key attribute.
    ///
    /// # Errors
    /// `no_key_attribute`.
    pub async fn found_people(
        &self,
        app: &App,
        name: &str,
        values: &[String],
    ) -> Result<HashMap<String, Vec<String>>, Problem> {
        let kind = app.settings.attributes.get(name).copied().unwrap_or_default();
        if name != EXTERNAL_ID && !kind.key {
            return Err(FieldError::new(
                "/to/attribute",
                "no_key_attribute",
                format!("属性 {name} 没有登记为可查找（key）。请先设置：hongyan app set {} --setting attributes='{{\"{name}\":{{\"key\":true}}}}'。", app.app_id),
                format!("The attribute {name} is not registered as a key. First: hongyan app set {} --setting attributes='{{\"{name}\":{{\"key\":true}}}}'.", app.app_id),
            )
            .into());
        }
        Ok(self.store.resolve_people(app.number, name, kind.sensitive, values).await?)
    }

    /// The guests of an app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn guests(&self, app: &App) -> Result<Vec<GuestView>, Problem> {
        let guests = self.store.guests(Some(app.number)).await?;
        Ok(guests.into_iter().map(|(_, openid, note)| GuestView { openid, note }).collect())
    }

    /// Adds a guest.
    ///
    /// # Errors
    /// Not an openid.
    pub async fn put_guest(
        &self,
        app: &App,
        openid: &str,
        note: Option<String>,
    ) -> Result<GuestView, Problem> {
        if !checks::openid(openid) {
            return Err(not_an_openid("/openid").into());
        }
        self.store.put_guest(app.number, openid.to_owned(), note.clone(), self.now()).await?;
        self.reload_guests().await?;
        Ok(GuestView { openid: openid.to_owned(), note })
    }

    /// Removes a guest.
    ///
    /// # Errors
    /// `guest_not_found`.
    pub async fn remove_guest(&self, app: &App, openid: &str) -> Result<(), Problem> {
        let removed = self.store.remove_guest(app.number, openid.to_owned()).await?;
        self.reload_guests().await?;
        if removed {
            return Ok(());
        }
        Err(Problem::new(Kind::NotFound, "guest_not_found", "名单里没有这个人。", "There is no such guest."))
    }

    /// Reads the guests again.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn reload_guests(&self) -> Result<(), store::StoreError> {
        let _turn = self.guests.1.lock().await;
        let all = self.store.guests(None).await?;
        *self.guests.0.write().unwrap_or_else(PoisonError::into_inner) =
            all.into_iter().map(|(app, openid, _)| (app, openid)).collect();
        Ok(())
    }

    /// Whether somebody may receive anything: everybody, unless the app is on trial.
    pub fn may_receive(&self, app: &App, openid: &str) -> bool {
        !app.settings.trial
            || self
                .guests
                .0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(&(app.number, openid.to_owned()))
    }
}

fn person(app: &App, request: PersonRequest, now: Millis) -> Result<Person, Problem> {
    let mut errors = Vec::new();
    let openid = request.openid.unwrap_or_default();
    if !checks::openid(&openid) {
        errors.push(not_an_openid("/openid"));
    }
    let too_long = |text: &str| text.trim().is_empty() || text.chars().count() > LONGEST;
    for (pointer, text) in [("/external_id", &request.external_id), ("/unionid", &request.unionid)] {
        if text.as_deref().is_some_and(too_long) {
            errors.push(FieldError::new(
                pointer,
                "invalid_value",
                format!("应为 1 到 {LONGEST} 个字。"),
                format!("1 to {LONGEST} characters."),
            ));
        }
    }
    if request.tags.len() > MOST || request.tags.iter().any(|tag| too_long(tag)) {
        errors.push(FieldError::new(
            "/tags",
            "invalid_value",
            format!("最多 {MOST} 个标签，每个 1 到 {LONGEST} 个字。"),
            format!("{MOST} tags at most, of 1 to {LONGEST} characters each."),
        ));
    }
    if request.attributes.len() > MOST {
        errors.push(FieldError::new(
            "/attributes",
            "invalid_value",
            format!("最多 {MOST} 个属性。"),
            format!("{MOST} attributes at most."),
        ));
    }
    let (mut attributes, mut sensitive, mut keys) =
        (Map::new(), Map::new(), std::collections::BTreeSet::new());
    for (name, value) in request.attributes {
        let scalar = value.is_string() || value.is_number() || value.is_boolean();
        let long = value.as_str().is_some_and(|text| text.chars().count() > LONGEST);
        if name == EXTERNAL_ID || too_long(&name) || !scalar || long {
            errors.push(FieldError::new(
                format!("/attributes/{}", name.replace('~', "~0").replace('/', "~1")),
                "invalid_value",
                format!("属性值应是文字（不超过 {LONGEST} 字）、数字或 true/false；external_id 不能作属性名。"),
                format!("An attribute is a text of {LONGEST} characters at most, a number, true or false; external_id is no attribute."),
            ));
            continue;
        }
        let kind = app.settings.attributes.get(&name).copied().unwrap_or_default();
        if kind.key {
            keys.insert(name.clone());
        }
        if kind.sensitive { &mut sensitive } else { &mut attributes }.insert(name, value);
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    let mut tags = request.tags;
    tags.sort_unstable();
    tags.dedup();
    Ok(Person {
        openid,
        external_id: request.external_id,
        unionid: request.unionid,
        tags,
        attributes,
        sensitive,
        keys,
        created_at: now,
        updated_at: now,
    })
}

/// It has not the form of an openid.
pub(crate) fn not_an_openid(pointer: &str) -> FieldError {
    FieldError::new(
        pointer,
        "invalid_openid",
        "openid 格式不对：应为 28 位左右的字母、数字、- 或 _。",
        "That is no openid: about 28 letters, digits, - or _.",
    )
}

fn no_person() -> Problem {
    Problem::new(
        Kind::NotFound,
        "subscriber_not_found",
        "没有登记过这个用户的资料。",
        "Nothing is registered of this person.",
    )
}

fn taken(person: &Person) -> Problem {
    let external_id = person.external_id.as_deref().unwrap_or_default();
    Problem::new(
        Kind::Conflict,
        "external_id_taken",
        format!("external_id {external_id} 已属于另一位用户；请先改掉那一位，或换一个编号。"),
        format!(
            "The external_id {external_id} is somebody else's; change that person first, or take another one."
        ),
    )
}

/// What an import brought.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct Imported {
    /// Rows of the table.
    pub rows: usize,
    /// People kept.
    pub kept: usize,
    /// Rows that were not, and why.
    pub errors: Vec<RowError>,
}

/// A row that was not taken.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RowError {
    /// The line of the file, as a spreadsheet counts: the head is line 1.
    pub row: usize,
    /// The stable code.
    pub code: String,
    /// What is wrong.
    pub detail: String,
}

impl Service {
    /// Keeps the people of a table: rows by the names of their columns (openid, external_id, unionid, tags, else attributes).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn import_people(
        &self,
        app: &App,
        rows: Vec<BTreeMap<String, String>>,
        lang: wechat::Lang,
    ) -> Result<Imported, Problem> {
        let mut imported = Imported { rows: rows.len(), ..Imported::default() };
        let mut at = 0;
        let mut rows = rows.into_iter();
        loop {
            let chunk: Vec<PersonRequest> = rows.by_ref().take(BATCH).map(of_row).collect();
            if chunk.is_empty() {
                return Ok(imported);
            }
            let count = chunk.len();
            for (n, verdict) in self.put_people(app, chunk).await?.into_iter().enumerate() {
                match verdict {
                    Ok(_) => imported.kept += 1,
                    Err(problem) => {
                        let first = problem.errors.first();
                        imported.errors.push(RowError {
                            row: at + n + 2,
                            code: first.map_or(problem.code, |error| error.code).to_owned(),
                            detail: first.map_or_else(
                                || problem.detail(lang).to_owned(),
                                |error| format!("{}: {}", error.pointer, error.detail(lang)),
                            ),
                        });
                    }
                }
            }
            at += count;
        }
    }
}

fn of_row(row: BTreeMap<String, String>) -> PersonRequest {
    let mut request = PersonRequest::default();
    for (name, cell) in row {
        let cell = cell.trim().to_owned();
        if cell.is_empty() {
            continue;
        }
        match name.as_str() {
            "openid" => request.openid = Some(cell),
            "external_id" => request.external_id = Some(cell),
            "unionid" => request.unionid = Some(cell),
            "tags" => {
                request.tags = cell
                    .split([',', ';', '，', '；', '、'])
                    .map(|tag| tag.trim().to_owned())
                    .filter(|tag| !tag.is_empty())
                    .collect();
            }
            _ => drop(request.attributes.insert(name, cell.into())),
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_values_are_masked() {
        assert_eq!(masked(&"13800138000".into()), "138****8000");
        assert_eq!(masked(&"张三".into()), "张****");
        assert_eq!(masked(&"x".into()), "****");
    }
}

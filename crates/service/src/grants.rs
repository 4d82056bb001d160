//! Entries of the ledger by hand: taken over from elsewhere (import), or corrected (adjust), each with its author and a note;
//! and in words what every entry says and how a balance came to be.

use std::collections::BTreeMap;

use domain::ledger::{Change, EntryKind, LedgerError, Reason, TemplateKind, available};
use serde::{Deserialize, Serialize};
use store::grants::{ByHand, Written};
use store::hot::accounts::StoredEntry;
use store::hot::enqueue::Idempotency;
use wechat::Lang;

use crate::people::{Imported, RowError, not_an_openid};
use crate::problem::{FieldError, Kind, Problem};
use crate::view::time;
use crate::{App, Service, checks};

/// Entries of one call.
pub const BATCH: usize = 1_000;
/// Longest note.
const LONGEST: usize = 500;
/// Most grants in one entry.
const MOST: i64 = 100_000;

/// An entry by hand as it is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryRequest {
    /// Whose.
    pub openid: String,
    /// Which template.
    pub template_id: String,
    /// adjust or import.
    pub kind: ByHandKind,
    /// For adjust: how many to add, or (negative) to take.
    #[serde(default)]
    pub delta: Option<i64>,
    /// For import: how many grants are taken over; 0 says that there may be some.
    #[serde(default)]
    pub count: Option<i64>,
    /// Why; an adjustment needs one.
    #[serde(default)]
    pub note: Option<String>,
}

/// What kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ByHandKind {
    /// Corrected.
    Adjust,
    /// Taken over from elsewhere; the balance is unverified then.
    Import,
}

/// What became of an entry.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EntryWritten {
    /// Whose.
    pub openid: String,
    /// Which template.
    pub template_id: String,
    /// The balance afterwards.
    pub balance: i64,
    /// `known` or `unverified`.
    pub certainty: &'static str,
}

/// The verdicts on a list, and whether its key answered an earlier one (then nothing was written now).
#[derive(Debug)]
pub struct EntriesWritten {
    /// In the order of the list.
    pub verdicts: Vec<Result<EntryWritten, Problem>>,
    /// Whether this was written before.
    pub replayed: bool,
}

/// How a balance came to be.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct BalanceSummary {
    /// Grants won: events and reports.
    pub won: i64,
    /// Taken over from elsewhere.
    pub imported: i64,
    /// Added or taken by hand.
    pub adjusted: i64,
    /// Proven by a send that was accepted at a balance of 0.
    pub found: i64,
    /// Spent on messages.
    pub spent: i64,
    /// Taken away by WeChat's word or the person.
    pub zeroed: i64,
    /// What is left: the sum of these.
    pub balance: i64,
    /// Messages that wait, are being sent or are unknown.
    pub reserved: i64,
    /// What is free.
    pub available: i64,
    /// `known` or `unverified`.
    pub certainty: &'static str,
    /// All this in a sentence.
    pub explanation: String,
}

impl Service {
    /// Writes up to 1,000 entries by hand, each with its verdict, in one commit. A key makes it happen once.
    ///
    /// # Errors
    /// `batch_too_large`, `idempotency_key_reused`.
    pub async fn write_entries(
        &self,
        app: &App,
        requests: Vec<EntryRequest>,
        by: &str,
        key: Option<&str>,
    ) -> Result<EntriesWritten, Problem> {
        if requests.len() > BATCH {
            return Err(Problem::new(
                Kind::Invalid,
                "batch_too_large",
                format!("一次最多 {BATCH} 条，收到 {}；请分批提交。", requests.len()),
                format!("{BATCH} entries at once at most, not {}; send several batches.", requests.len()),
            ));
        }
        let key = match key {
            Some(key) if !crate::messages::is_key(key) => return Err(crate::messages::bad_key().into()),
            Some(key) => {
                let key = format!("ledger:{key}");
                Some(Idempotency {
                    lane: self.store.lanes().of_key(app.number, &key),
                    digest: crate::messages::digest(&requests),
                    key,
                })
            }
            None => None,
        };
        let mut checked = Vec::with_capacity(requests.len());
        for request in &requests {
            checked.push(self.by_hand(app, request).await?);
        }
        let good: Vec<ByHand> = checked.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
        let written = if good.is_empty() {
            Written::New(Vec::new())
        } else {
            self.store.write_by_hand(app.number, good, (by.to_owned(), self.now()), key).await?
        };
        let (mut written, replayed) = match written {
            Written::New(written) => (written.into_iter(), false),
            Written::Replayed => (Vec::new().into_iter(), true),
            Written::KeyReused => return Err(crate::messages::key_reused()),
        };
        let mut verdicts = Vec::with_capacity(requests.len());
        for (request, entry) in requests.into_iter().zip(checked) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errors) => {
                    verdicts.push(Err(Problem::fields(errors)));
                    continue;
                }
            };
            let after = match written.next() {
                Some(after) => after.map_err(refused),
                None => self.standing(app, &request).await,
            };
            verdicts.push(after.map(|after| EntryWritten {
                openid: entry.openid,
                template_id: request.template_id,
                balance: after.balance,
                certainty: if after.known { "known" } else { "unverified" },
            }));
        }
        Ok(EntriesWritten { verdicts, replayed })
    }

    async fn standing(
        &self,
        app: &App,
        request: &EntryRequest,
    ) -> Result<domain::ledger::Subscription, Problem> {
        let found =
            self.store.subscriptions_of(app.number, &request.openid, Some(&request.template_id)).await?;
        Ok(found.into_iter().next().map(|found| found.subscription).unwrap_or_default())
    }

    /// The entry, or everything that is wrong with it.
    async fn by_hand(
        &self,
        app: &App,
        request: &EntryRequest,
    ) -> Result<Result<ByHand, Vec<FieldError>>, Problem> {
        let mut errors = Vec::new();
        if !checks::openid(&request.openid) {
            errors.push(not_an_openid("/openid"));
        }
        let template = self.template(app, &request.template_id).await?;
        match &template {
            None => errors.push(crate::messages::unknown_template(app, &request.template_id)),
            Some(template) if template.kind == TemplateKind::LongTerm => errors.push(FieldError::new(
                "/template_id",
                "nothing_to_count",
                "长期订阅模板没有次数可以导入或调整。",
                "A long-term template has no grants to import or adjust.",
            )),
            Some(_) => {}
        }
        let note = request.note.as_deref().map(str::trim).filter(|note| !note.is_empty());
        if note.is_some_and(|note| note.chars().count() > LONGEST) {
            errors.push(FieldError::new(
                "/note",
                "too_long",
                format!("备注不超过 {LONGEST} 字。"),
                format!("A note has {LONGEST} characters at most."),
            ));
        }
        let change = match (request.kind, request.delta, request.count) {
            (ByHandKind::Adjust, Some(delta), None) if delta != 0 && delta.abs() <= MOST => {
                if note.is_none() {
                    errors.push(FieldError::new(
                        "/note",
                        "note_missing",
                        "手工调整要写备注（note），说明原因。",
                        "An adjustment needs a note that says why.",
                    ));
                }
                Some(Change::Adjust { delta })
            }
            (ByHandKind::Adjust, ..) => {
                errors.push(FieldError::new(
                    "/delta",
                    "invalid_value",
                    format!("adjust 要给出 delta：−{MOST} 到 {MOST} 之间、不为 0 的整数（不带 count）。"),
                    format!(
                        "adjust takes a delta: a whole number from -{MOST} to {MOST}, not 0 (and no count)."
                    ),
                ));
                None
            }
            (ByHandKind::Import, None, Some(count)) if (0..=MOST).contains(&count) => {
                u32::try_from(count).ok().map(|count| Change::Import { count })
            }
            (ByHandKind::Import, ..) => {
                errors.push(FieldError::new(
                    "/count",
                    "invalid_value",
                    format!("import 要给出 count：0 到 {MOST} 的整数（不带 delta）。"),
                    format!("import takes a count: a whole number from 0 to {MOST} (and no delta)."),
                ));
                None
            }
        };
        let (Some(template), Some(change), true) = (template, change, errors.is_empty()) else {
            return Ok(Err(errors));
        };
        Ok(Ok(ByHand {
            openid: request.openid.clone(),
            template: template.number,
            kind: template.kind,
            change,
            note: note.map(str::to_owned),
        }))
    }

    /// Takes the grants of a table over: columns openid, template_id, count and note. Unless `skip_bad`, nothing is written where
    /// a row is wrong.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn import_grants(
        &self,
        app: &App,
        rows: Vec<BTreeMap<String, String>>,
        skip_bad: bool,
        by: &str,
        lang: Lang,
    ) -> Result<Imported, Problem> {
        let mut imported = Imported { rows: rows.len(), ..Imported::default() };
        let mut good = Vec::new();
        for (at, row) in rows.into_iter().enumerate() {
            let cell = |name: &str| row.get(name).map(|cell| cell.trim().to_owned()).unwrap_or_default();
            let request = EntryRequest {
                openid: cell("openid"),
                template_id: cell("template_id"),
                kind: ByHandKind::Import,
                delta: None,
                count: cell("count").parse().ok(),
                note: Some(cell("note")).filter(|note| !note.is_empty()),
            };
            match self.by_hand(app, &request).await? {
                Ok(_) => good.push(request),
                Err(errors) => imported.errors.extend(errors.first().map(|error| RowError {
                    row: at + 2,
                    code: error.code.to_owned(),
                    detail: format!("{}: {}", error.pointer, error.detail(lang)),
                })),
            }
        }
        if !imported.errors.is_empty() && !skip_bad {
            return Ok(imported);
        }
        for chunk in good.chunks(BATCH) {
            let written = self.write_entries(app, chunk.to_vec(), by, None).await?;
            imported.kept += written.verdicts.iter().filter(|verdict| verdict.is_ok()).count();
        }
        Ok(imported)
    }

    /// How the balance of one person and template came to be; nothing where there is no record.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn balance_of(
        &self,
        app: &App,
        openid: &str,
        template_id: &str,
        lang: Lang,
    ) -> Result<Option<BalanceSummary>, Problem> {
        let found = self.store.subscriptions_of(app.number, openid, Some(template_id)).await?;
        let Some(found) = found.into_iter().next() else { return Ok(None) };
        let entries = self.store.ledger_of(app.number, openid, template_id).await?;
        let mut summary = BalanceSummary {
            balance: found.subscription.balance,
            reserved: found.reserved,
            available: available(found.subscription.balance, found.reserved),
            certainty: if found.subscription.known { "known" } else { "unverified" },
            ..BalanceSummary::default()
        };
        for stored in &entries {
            let place = match stored.entry.kind {
                EntryKind::Grant | EntryKind::Report => &mut summary.won,
                EntryKind::Import => &mut summary.imported,
                EntryKind::Adjust => &mut summary.adjusted,
                EntryKind::Spend => &mut summary.spent,
                EntryKind::Found => &mut summary.found,
                EntryKind::Zeroed => &mut summary.zeroed,
            };
            *place += stored.entry.delta;
        }
        summary.explanation = sentence(&summary, lang);
        Ok(Some(summary))
    }
}

fn refused(error: LedgerError) -> Problem {
    match error {
        LedgerError::NothingToAdjust => FieldError::new(
            "/delta",
            "nothing_to_adjust",
            "余额已经是 0，没有可扣的次数。",
            "The balance is 0 already: there is nothing to take.",
        ),
        LedgerError::NothingToCount | LedgerError::NeedsPast => FieldError::new(
            "/template_id",
            "nothing_to_count",
            "这个模板没有次数可以导入或调整。",
            "This template has no grants to import or adjust.",
        ),
    }
    .into()
}

fn sentence(summary: &BalanceSummary, lang: Lang) -> String {
    let zh = [
        ("获得", summary.won),
        ("导入", summary.imported),
        ("手工调整", summary.adjusted),
        ("发送证实", summary.found),
        ("已用", summary.spent),
        ("失效", summary.zeroed),
    ];
    let en = [
        ("won", summary.won),
        ("imported", summary.imported),
        ("adjusted by hand", summary.adjusted),
        ("proven by sends", summary.found),
        ("spent", summary.spent),
        ("taken away", summary.zeroed),
    ];
    let parts = |all: [(&str, i64); 6], between: &str| {
        let shown: Vec<String> = all
            .iter()
            .filter(|(_, count)| *count != 0)
            .map(|(what, count)| format!("{what} {count:+}"))
            .collect();
        shown.join(between)
    };
    match lang {
        Lang::Zh => {
            let certainty = if summary.certainty == "known" {
                ""
            } else {
                "；余额未经证实（导入，或接入之前已有订阅），发送时以微信为准"
            };
            let why = parts(zh, "，");
            let why = if why.is_empty() { "没有记账".to_owned() } else { why };
            format!(
                "{why}，余额 {}；{} 条消息占用，可用 {}{certainty}。",
                summary.balance, summary.reserved, summary.available
            )
        }
        Lang::En => {
            let certainty = if summary.certainty == "known" {
                ""
            } else {
                "; not certain (imported, or from before this was connected): WeChat decides when it is tried"
            };
            let why = parts(en, ", ");
            let why = if why.is_empty() { "no entries".to_owned() } else { why };
            format!(
                "{why}: a balance of {}, {} of it taken by messages under way, {} available{certainty}.",
                summary.balance, summary.reserved, summary.available
            )
        }
    }
}

/// What an entry says, in a sentence.
pub(crate) fn explained(stored: &StoredEntry, lang: Lang) -> String {
    let at = time(stored.entry.act_at);
    let (zh, en) = match stored.entry.reason {
        Reason::Popup => {
            ("用户在弹窗中接受订阅（微信事件）", "The person accepted in the popup (WeChat's event)")
        }
        Reason::ChangeReject => (
            "用户在设置中拒收，之前的次数失效",
            "The person refused in the settings: what was granted before is gone",
        ),
        Reason::Send => match stored.entry.kind {
            EntryKind::Found => (
                "余额为 0 时微信仍受理了发送：证明还有一次未知的订阅",
                "WeChat took a message at a balance of 0: there was a grant that nobody had told of",
            ),
            _ => ("微信受理了一条消息，用去一次", "WeChat took a message: one grant is spent"),
        },
        Reason::Refused43101 => (
            "微信答复 43101：发送前的次数都不可用",
            "WeChat answered 43101: nothing granted before that was usable",
        ),
        Reason::FoundCancelled => (
            "迟到的订阅事件说明了先前“证实”的那一次，抵消",
            "A late event explains the grant that had been proven: it counts once",
        ),
        Reason::LateGrantAfterRefusal => {
            ("迟到的订阅事件，但之后用户已拒收", "A late event of a grant that a refusal has taken since")
        }
        Reason::Manual => ("手工调整", "Corrected by hand"),
        Reason::Import => {
            ("从别处导入，余额未经证实", "Taken over from elsewhere; the balance is not certain")
        }
        Reason::Report => {
            ("小程序上报的订阅，等待微信事件确认", "Reported by the mini program; WeChat's event is awaited")
        }
        Reason::ReportConfirmed => (
            "上报与微信事件是同一次操作，只计一次",
            "The report and WeChat's event are one act: it counts once",
        ),
    };
    let by = stored.author.as_deref();
    match lang {
        Lang::Zh => format!("{zh}（{at}{}）", by.map(|by| format!("，{by}")).unwrap_or_default()),
        Lang::En => format!("{en} ({at}{})", by.map(|by| format!(", {by}")).unwrap_or_default()),
    }
}

//! Template numbers, read once and kept: events name templates by WeChat's ids.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use domain::ledger::TemplateKind;
use sqlx::{PgConnection, Row};

use super::column;
use crate::error::StoreError;

type Known = HashMap<(i64, String), (i64, TemplateKind)>;

/// Numbers and kinds that were read before.
#[derive(Default)]
pub(super) struct TemplateNumbers(RwLock<(Known, HashMap<i64, TemplateKind>)>);

const NUMBERS: &str = "
select t.app, t.template_id, t.id, t.kind from unnest($1::bigint[], $2::text[]) b (app, template_id)
join template t on t.app = b.app and t.template_id = b.template_id";
const ENSURE: &str = "
insert into template (app, template_id, title, kind, content, example, fields)
select app, template_id, '', 2, '', '', '[]' from unnest($1::bigint[], $2::text[]) b (app, template_id)
on conflict (app, template_id) do nothing";

impl TemplateNumbers {
    /// The numbers of the wanted templates; one that an event names before any sync gets its number now.
    pub(super) async fn ensure(
        &self,
        db: &mut PgConnection,
        wanted: Vec<(i64, &str)>,
    ) -> Result<Known, StoreError> {
        let mut found = Known::new();
        let mut missing = Vec::new();
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            for (app, id) in wanted {
                let key = (app, id.to_owned());
                match known.0.get(&key) {
                    Some(number) => drop(found.insert(key, *number)),
                    None => missing.push(key),
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        for create in [false, true] {
            if missing.is_empty() {
                break;
            }
            let apps = column!(missing, |(app, _)| *app);
            let ids = column!(missing, |(_, id)| id.clone());
            if create {
                sqlx::query(ENSURE).bind(&apps).bind(&ids).execute(&mut *db).await?;
            }
            for row in sqlx::query(NUMBERS).bind(&apps).bind(&ids).fetch_all(&mut *db).await? {
                let kind = if row.try_get::<i16, _>(3)? == 3 {
                    TemplateKind::LongTerm
                } else {
                    TemplateKind::OneTime
                };
                found.insert((row.try_get(0)?, row.try_get(1)?), (row.try_get(2)?, kind));
            }
            missing.retain(|key| !found.contains_key(key));
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.1.extend(found.values().copied());
        known.0.extend(found.clone());
        drop(known);
        Ok(found)
    }

    /// Whether grants of a template are counted; what nobody has read yet counts as one-time.
    pub(super) fn kind(&self, number: i64) -> TemplateKind {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.1.get(&number).copied().unwrap_or(TemplateKind::OneTime)
    }
}

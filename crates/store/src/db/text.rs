//! One text, two engines. Statements are written in what both read; where that is not enough, by three marks:
//!
//! - `[$1: lane int2, id id, at int8]` is the batch in `$1`, a JSON array of arrays, as a table of typed columns
//!   (`[$1 each: id id]` of a plain array). Types are PostgreSQL's; `id` is 16 bytes in hex, `bytes` any in hex, `json` stays JSON.
//! - `{s}` says that `s` is of the batch's one lane: ` and s.lane = …` on PostgreSQL, whose tables are led by it; nothing on
//!   SQLite, whose batches take all lanes at once. `{s.id}` says too that `s.id` is one of the ids of `$1`: known when it plans,
//!   PostgreSQL looks into the partitions of these only, and finds their rows by their keys and not by comparing all with all.
//!   `{s.id in $1}` says it alone, where `$1` is a plain array of ids and nothing else is joined with it.
//! - `<<sqlite|postgres>>` is whatever else differs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{OnceLock, PoisonError, RwLock};

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A statement as an engine reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) sql: Cow<'static, str>,
    /// Whether the batch's lane is its last value.
    pub(crate) wants_lane: bool,
    /// Whether the batch's ids are given after it, and where in its rows they stand; nowhere where each row is one.
    pub(crate) wants_ids: Option<Option<usize>>,
    /// Whether a value is read as JSON by the database.
    pub(crate) takes_json: bool,
}

type Cache = RwLock<HashMap<(Engine, usize, usize), &'static Text>>;

/// Translates; what is written in the program is translated once.
#[expect(clippy::ptr_arg, reason = "what is borrowed for good is told from what is made for once")]
pub(crate) fn of(engine: Engine, sql: &Cow<'static, str>) -> Cow<'static, Text> {
    static CACHE: OnceLock<Cache> = OnceLock::new();
    let fixed = match sql {
        Cow::Borrowed(fixed) => *fixed,
        Cow::Owned(text) => return Cow::Owned(translate(engine, text)),
    };
    let cache = CACHE.get_or_init(Cache::default);
    let key = (engine, fixed.as_ptr() as usize, fixed.len());
    if let Some(text) = cache.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Cow::Borrowed(text);
    }
    let mut cache = cache.write().unwrap_or_else(PoisonError::into_inner);
    Cow::Borrowed(cache.entry(key).or_insert_with(|| Box::leak(Box::new(translate(engine, fixed)))))
}

fn translate(engine: Engine, sql: &str) -> Text {
    let mut out = String::with_capacity(sql.len() * 2);
    let lane = highest(sql) + 1;
    let (mut wants_lane, mut wants_ids) = (false, None);
    let mut ids = None;
    let mut rest = sql;
    while let Some(at) = rest.find(['[', '{', '<']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = if let Some((inner, after)) =
            within(rest, "[", "]").filter(|(inner, _)| inner.starts_with('$'))
        {
            batch(engine, inner, &mut out);
            ids = ids.or_else(|| place_of_ids(inner));
            after
        } else if let Some((mark, after)) = within(rest, "{", "}").filter(|(mark, _)| is_mark(mark)) {
            if engine == Engine::Postgres {
                wants_lane = true;
                let (mark, alone) = mark.strip_suffix(" in $1").map_or((mark, false), |mark| (mark, true));
                let (alias, column) = mark.split_once('.').unwrap_or((mark, ""));
                let _ = write!(out, "{}{alias}.lane = ${lane}", if alone { "" } else { " and " });
                if !column.is_empty() {
                    wants_ids = if alone { Some(None) } else { ids };
                    let _ = write!(out, " and {mark} = any(${})", lane + 1);
                }
            } else if let Some(column) = mark.strip_suffix(" in $1") {
                let _ = write!(out, "{column} in (select unhex(value) from json_each($1))");
            }
            after
        } else if let Some((inner, after)) = within(rest, "<<", ">>") {
            let (sqlite, postgres) = inner.split_once('|').unwrap_or((inner, ""));
            out.push_str(if engine == Engine::Sqlite { sqlite } else { postgres });
            after
        } else {
            out.push_str(&rest[..1]);
            &rest[1..]
        };
    }
    out.push_str(rest);
    let takes_json = out.contains("::jsonb");
    Text { sql: Cow::Owned(out), wants_lane, wants_ids, takes_json }
}

fn within<'t>(text: &'t str, open: &str, close: &str) -> Option<(&'t str, &'t str)> {
    text.strip_prefix(open)?.split_once(close)
}

/// What may stand in a mark of a lane; braces in JSON are something else.
fn is_mark(text: &str) -> bool {
    let name = text.strip_suffix(" in $1").unwrap_or(text);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.'))
}

/// Where the ids of a batch stand: its first column of that kind, or each value.
fn place_of_ids(inner: &str) -> Option<Option<usize>> {
    let (source, columns) = inner.split_once(':')?;
    let at = columns.split(',').position(|column| column.trim().ends_with(" id"))?;
    Some((!source.ends_with(" each")).then_some(at))
}

/// The highest number of a parameter.
fn highest(sql: &str) -> usize {
    sql.split('$')
        .skip(1)
        .filter_map(|rest| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok()
        })
        .max()
        .unwrap_or(0)
}

/// `$1: lane int2, id id`, or `$1 each: id id`.
fn batch(engine: Engine, inner: &str, out: &mut String) {
    let (source, columns) = inner.split_once(':').unwrap_or((inner, ""));
    let (parameter, each) = match source.split_once(' ') {
        Some((parameter, _)) => (parameter, true),
        None => (source, false),
    };
    out.push_str("(select ");
    for (at, column) in columns.split(',').enumerate() {
        let (name, kind) = column.trim().split_once(' ').unwrap_or((column.trim(), "text"));
        if at > 0 {
            out.push_str(", ");
        }
        let _ = match (engine, each) {
            (Engine::Sqlite, true) => read_sqlite(out, "value", kind),
            (Engine::Sqlite, false) => read_sqlite(out, &format!("v->>{at}"), kind),
            (Engine::Postgres, true) => read_postgres(out, "v#>>'{}'", "v", kind),
            (Engine::Postgres, false) => read_postgres(out, &format!("v->>{at}"), &format!("v->{at}"), kind),
        };
        let _ = write!(out, " as {name}");
    }
    let _ = match (engine, each) {
        (Engine::Sqlite, true) => write!(out, " from json_each({parameter}))"),
        (Engine::Sqlite, false) => write!(out, " from (select value v from jsonb_each({parameter})))"),
        // `offset 0`: read once, not anew for each row that is compared with it.
        (Engine::Postgres, _) => write!(out, " from jsonb_array_elements({parameter}::jsonb) v offset 0)"),
    };
}

fn read_sqlite(out: &mut String, value: &str, kind: &str) -> std::fmt::Result {
    if matches!(kind, "id" | "bytes") { write!(out, "unhex({value})") } else { write!(out, "{value}") }
}

fn read_postgres(out: &mut String, value: &str, as_json: &str, kind: &str) -> std::fmt::Result {
    match kind {
        "id" | "bytes" => write!(out, "decode({value}, 'hex')"),
        "text" => write!(out, "({value})"),
        "json" => write!(out, "({as_json})::text"),
        kind => write!(out, "({value})::{kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read() {
        let sql = "delete from ready where id in (select b.id from [$1: lane int2, id id] b) and x < $2 {ready}<< a| b>>";
        assert_eq!(
            translate(Engine::Sqlite, sql).sql,
            "delete from ready where id in (select b.id from (select v->>0 as lane, unhex(v->>1) as id from \
             (select value v from jsonb_each($1))) b) and x < $2  a"
        );
        let postgres = translate(Engine::Postgres, sql);
        assert!(postgres.wants_lane);
        assert_eq!(
            postgres.sql,
            "delete from ready where id in (select b.id from (select (v->>0)::int2 as lane, decode(v->>1, 'hex') as id \
             from jsonb_array_elements($1::jsonb) v offset 0) b) and x < $2  and ready.lane = $3 b"
        );
        let ids =
            translate(Engine::Postgres, "select 1 from [$1: at int8, id id] b join s on s.id = b.id{s.id}");
        assert_eq!(ids.wants_ids, Some(Some(1)));
        assert!(ids.sql.ends_with(" on s.id = b.id and s.lane = $2 and s.id = any($3)"), "{}", ids.sql);
        let each = "select 1 from [$1 each: id id] b join s on s.id = b.id{s.id}";
        assert_eq!(translate(Engine::Postgres, each).wants_ids, Some(None));
        assert!(translate(Engine::Sqlite, each).sql.ends_with(" on s.id = b.id"));
        let alone = "delete from s where {s.id in $1} and x = $2";
        assert_eq!(
            translate(Engine::Sqlite, alone).sql,
            "delete from s where s.id in (select unhex(value) from json_each($1)) and x = $2"
        );
        let alone = translate(Engine::Postgres, alone);
        assert_eq!(alone.sql, "delete from s where s.lane = $3 and s.id = any($4) and x = $2");
        assert_eq!(alone.wants_ids, Some(None));
        let plain = "select a from b where c < $1 and d <> $2";
        assert_eq!(
            translate(Engine::Postgres, plain),
            Text { sql: plain.into(), wants_lane: false, wants_ids: None, takes_json: false }
        );
    }
}

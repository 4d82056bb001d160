//! Which column of such a table holds what.

use std::collections::BTreeMap;

use crate::problem::{Kind, Problem};

/// What is read, and the heads that are known for it. Heads are compared without regard to case.
pub const FIELDS: [(&str, &[&str]); 7] = [
    ("openid", &["from_user_name", "fromusername", "openid", "open_id"]),
    ("template", &["tmpl_id", "template_id", "templateid", "tmplid"]),
    ("time", &["create_time", "createtime"]),
    ("status", &["subscribe_status", "subscribestatus", "subscribe_status_string", "status"]),
    ("event", &["event"]),
    ("app", &["to_user_name", "tousername"]),
    ("count", &["count"]),
];

/// Where each field stands, by its place in [`FIELDS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping([Option<usize>; FIELDS.len()]);

impl Mapping {
    /// Finds the columns: those that were named, the others by their usual heads.
    ///
    /// # Errors
    /// `missing_column`: a named one is not there, or there is none of the openid (or of the template, where one is needed).
    pub fn find(
        heads: &[String],
        named: &BTreeMap<String, String>,
        has_template: bool,
    ) -> Result<Self, Problem> {
        let at = |wanted: &str| heads.iter().position(|head| head.trim().eq_ignore_ascii_case(wanted.trim()));
        if let Some(unknown) = named.keys().find(|name| !FIELDS.iter().any(|(field, _)| field == name)) {
            let fields: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
            return Err(missing(unknown, &fields.join(", ")));
        }
        let mut places = [None; FIELDS.len()];
        for (place, (field, usual)) in places.iter_mut().zip(FIELDS) {
            *place = match named.get(field) {
                Some(head) => Some(at(head).ok_or_else(|| missing(head, &heads.join(", ")))?),
                None => usual.iter().find_map(|head| at(head)),
            };
        }
        if places[0].is_none() {
            return Err(missing("from_user_name", &heads.join(", ")));
        }
        if places[1].is_none() && !has_template {
            return Err(missing("tmpl_id", &heads.join(", ")));
        }
        Ok(Self(places))
    }

    /// The cell of a field; nothing where there is no such column.
    pub fn cell<'r>(&self, field: &str, record: &'r csv::StringRecord) -> Option<&'r str> {
        let place = FIELDS.iter().position(|(name, _)| *name == field)?;
        record.get(self.0[place]?).map(str::trim)
    }
}

fn missing(wanted: &str, there: &str) -> Problem {
    Problem::new(
        Kind::Invalid,
        "missing_column",
        format!("找不到列 {wanted}；现有：{there}。用 --column openid=列名 指定。"),
        format!("There is no column {wanted}; there are: {there}. Name it with --column openid=HEAD."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn columns_are_found_by_their_usual_heads_or_by_name() {
        let usual =
            heads("id,to_user_name,From_User_Name ,create_time,msg_type,event,subscribe_status,tmpl_id");
        let mapping = Mapping::find(&usual, &BTreeMap::new(), false).unwrap();
        let record = csv::StringRecord::from(vec!["1", "gh", " o1 ", "2", "event", "e", "accept", "t"]);
        assert_eq!(mapping.cell("openid", &record), Some("o1"));
        assert_eq!((mapping.cell("template", &record), mapping.cell("count", &record)), (Some("t"), None));
        let named: BTreeMap<String, String> = [("openid".to_owned(), "用户".to_owned())].into();
        let other = heads("编号,用户");
        assert_eq!(Mapping::find(&other, &named, false).unwrap_err().code, "missing_column");
        assert!(Mapping::find(&other, &named, true).is_ok(), "the template was given");
        let wrong: BTreeMap<String, String> = [("person".to_owned(), "用户".to_owned())].into();
        assert_eq!(Mapping::find(&other, &wrong, true).unwrap_err().code, "missing_column");
    }
}

//! The public template library (公共模板库): used by pages that choose templates.
//!
//! Source: official pages "获取类目" (getcategory), "获取所属类目下的公共模板" (getpubtemplatetitles), "获取关键词列表"
//! (getpubtemplatekeywords). getcategory is said to be limited to a few calls a day: keep its answer.

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Client;
use super::error::CallError;
use super::json::{Call, LIMIT, Text, Whole};
use crate::template::TemplateType;

/// A service category (服务类目) of the mini program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Category {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// A template of the public library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryTitle {
    /// Its title id.
    pub tid: i64,
    /// Its title.
    pub title: String,
    /// What one subscription allows.
    #[serde(rename = "type")]
    pub kind: TemplateType,
    /// The category, as WeChat writes it.
    pub category_id: String,
}

/// One page of the public library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryTitles {
    /// How many there are on all pages.
    pub count: i64,
    /// Those of this page.
    pub titles: Vec<LibraryTitle>,
}

/// A keyword that a library template offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryKeyword {
    /// Its id, the number of the key that it becomes.
    pub kid: i64,
    /// Its label.
    pub name: String,
    /// An example.
    pub example: String,
    /// The kind of its value (`thing`, `date` …), as WeChat writes it.
    pub rule: String,
}

#[derive(Deserialize)]
struct List<T> {
    #[serde(default)]
    count: Option<Whole>,
    #[serde(default = "none")]
    data: Option<Vec<T>>,
}

fn none<T>() -> Option<T> {
    None
}

impl Client {
    async fn list<T: DeserializeOwned>(
        &self,
        base: &str,
        path: &str,
        token: &SecretString,
        more: &[(&str, &str)],
    ) -> Result<List<T>, CallError> {
        let token = token.expose_secret();
        let mut query = vec![("access_token", token)];
        query.extend_from_slice(more);
        let secrets = &[token];
        self.call(Call { base, path, query: &query, body: None, secrets, limit: LIMIT }).await
    }

    /// Fetches the service categories of the mini program.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn categories(&self, base: &str, token: &SecretString) -> Result<Vec<Category>, CallError> {
        #[derive(Deserialize)]
        struct Item {
            id: Whole,
            #[serde(default)]
            name: Text,
        }
        let list = self.list::<Item>(base, "/wxaapi/newtmpl/getcategory", token, &[]).await?;
        let items = list.data.unwrap_or_default();
        Ok(items.into_iter().map(|item| Category { id: item.id.0, name: item.name.0 }).collect())
    }

    /// Fetches a page of the public library for these categories, from `start` (0 = the first), at most 30.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn library_titles(
        &self,
        base: &str,
        token: &SecretString,
        categories: &[i64],
        start: u32,
        limit: u32,
    ) -> Result<LibraryTitles, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Item {
            tid: Whole,
            #[serde(default)]
            title: Text,
            #[serde(rename = "type", default)]
            kind: Option<Whole>,
            #[serde(default)]
            category_id: Text,
        }
        let ids = categories.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let (start, limit) = (start.to_string(), limit.min(30).to_string());
        let more = [("ids", ids.as_str()), ("start", start.as_str()), ("limit", limit.as_str())];
        let path = "/wxaapi/newtmpl/getpubtemplatetitles";
        let list = self.list::<Item>(base, path, token, &more).await?;
        let titles = list.data.unwrap_or_default().into_iter().map(|item| LibraryTitle {
            tid: item.tid.0,
            title: item.title.0,
            kind: TemplateType::from_wechat(item.kind.map_or(2, |kind| kind.0)),
            category_id: item.category_id.0,
        });
        let titles: Vec<_> = titles.collect();
        let on_page = i64::try_from(titles.len()).unwrap_or(i64::MAX);
        Ok(LibraryTitles { count: list.count.map_or(on_page, |count| count.0), titles })
    }

    /// Fetches the keywords that a library template offers.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn library_keywords(
        &self,
        base: &str,
        token: &SecretString,
        tid: &str,
    ) -> Result<Vec<LibraryKeyword>, CallError> {
        #[derive(Deserialize)]
        struct Item {
            kid: Whole,
            #[serde(default)]
            name: Text,
            #[serde(default)]
            example: Text,
            #[serde(default)]
            rule: Text,
        }
        let path = "/wxaapi/newtmpl/getpubtemplatekeywords";
        let list = self.list::<Item>(base, path, token, &[("tid", tid)]).await?;
        let keywords = list.data.unwrap_or_default().into_iter().map(|item| LibraryKeyword {
            kid: item.kid.0,
            name: item.name.0,
            example: item.example.0,
            rule: item.rule.0,
        });
        Ok(keywords.collect())
    }
}

//! The list of own templates, and adding and deleting: used by template synchronisation and management.
//!
//! Source: official pages "获取已有的模板列表" (gettemplate), "选用模板" (addtemplate), "删除模板" (deltemplate).

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Client;
use super::error::CallError;
use super::json::{Call, LIMIT, Text, Whole, body};
use crate::template::{Template, TemplateType, parse_content};

/// Bound of the template list in bytes.
const LIST_LIMIT: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Own {
    #[serde(rename = "priTmplId", default)]
    id: Text,
    #[serde(default)]
    title: Text,
    #[serde(default)]
    content: Text,
    #[serde(default)]
    example: Text,
    #[serde(rename = "type", default)]
    kind: Option<Whole>,
    #[serde(default)]
    keyword_enum_value_list: Option<Vec<EnumValues>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnumValues {
    #[serde(default)]
    keyword_code: Text,
    #[serde(default)]
    enum_value_list: Option<Vec<Text>>,
}

impl From<Own> for Template {
    fn from(own: Own) -> Self {
        let enums: BTreeMap<String, Vec<String>> = own
            .keyword_enum_value_list
            .unwrap_or_default()
            .into_iter()
            .map(|one| {
                let values = one.enum_value_list.unwrap_or_default();
                (one.keyword_code.0, values.into_iter().map(|value| value.0).collect())
            })
            .collect();
        Self {
            fields: parse_content(&own.content.0, &own.example.0, &enums),
            id: own.id.0,
            title: own.title.0,
            kind: TemplateType::from_wechat(own.kind.map_or(2, |kind| kind.0)),
            content: own.content.0,
            example: own.example.0,
        }
    }
}

impl Client {
    /// Fetches the mini program's own templates (我的模板).
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn templates(&self, base: &str, token: &SecretString) -> Result<Vec<Template>, CallError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            data: Option<Vec<Own>>,
        }
        let token = token.expose_secret();
        let answer: Answer = self
            .call(Call {
                base,
                path: "/wxaapi/newtmpl/gettemplate",
                query: &[("access_token", token)],
                body: None,
                secrets: &[token],
                limit: LIST_LIMIT,
            })
            .await?;
        let named = answer.data.unwrap_or_default().into_iter().filter(|own| !own.id.0.is_empty());
        Ok(named.map(Template::from).collect())
    }

    /// Takes a template from the public library and gives its id (priTmplId). Changes the account at WeChat.
    ///
    /// `keywords` are 2 to 5 kids, in the order of the card; `scene` is a description of up to 15 characters.
    ///
    /// # Errors
    /// [`CallError`]; 200012 = no room for more templates, 200022 = the same one exists.
    pub async fn add_template(
        &self,
        base: &str,
        token: &SecretString,
        tid: &str,
        keywords: &[i64],
        scene: &str,
    ) -> Result<String, CallError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Ask<'a> {
            tid: &'a str,
            kid_list: &'a [i64],
            scene_desc: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "priTmplId")]
            id: Text,
        }
        let token = token.expose_secret();
        let answer: Answer = self
            .call(Call {
                base,
                path: "/wxaapi/newtmpl/addtemplate",
                query: &[("access_token", token)],
                body: body(&Ask { tid, kid_list: keywords, scene_desc: scene }),
                secrets: &[token],
                limit: LIMIT,
            })
            .await?;
        if answer.id.0.is_empty() { Err(CallError::Malformed) } else { Ok(answer.id.0) }
    }

    /// Deletes one of the mini program's own templates. Changes the account at WeChat.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn delete_template(&self, base: &str, token: &SecretString, id: &str) -> Result<(), CallError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Ask<'a> {
            pri_tmpl_id: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {}
        let token = token.expose_secret();
        let Answer {} = self
            .call(Call {
                base,
                path: "/wxaapi/newtmpl/deltemplate",
                query: &[("access_token", token)],
                body: body(&Ask { pri_tmpl_id: id }),
                secrets: &[token],
                limit: LIMIT,
            })
            .await?;
        Ok(())
    }
}

//! What somebody asks for with a campaign: the shape of the request, and of what is kept of it.

use std::collections::BTreeMap;

use domain::window::Window;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::messages::OnEmptyBalance;

/// A campaign as it is asked for (interfaces.md).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignRequest {
    /// A name for people.
    pub name: String,
    /// Which template.
    pub template_id: String,
    /// Values by key, with placeholders. Of an upload's fields the mapped columns, unless given.
    #[serde(default)]
    pub data: BTreeMap<String, Value>,
    /// The page that the card opens, with placeholders.
    #[serde(default)]
    pub page: Option<String>,
    /// developer, trial or formal.
    #[serde(default)]
    pub miniprogram_state: Option<String>,
    /// zh_CN, en_US, zh_HK, zh_TW.
    #[serde(default)]
    pub lang: Option<String>,
    /// Who gets it.
    pub audience: Audience,
    /// Not before this.
    #[serde(default)]
    pub send_at: Option<String>,
    /// Not after this.
    #[serde(default)]
    pub expire_at: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub options: Options,
}

/// What is asked besides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Messages a second at most, below the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u32>,
    /// The hours of the day in which it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowRequest>,
    /// Where we were down when it was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misfire: Option<Misfire>,
    /// What is done where the balance is empty; `refuse` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_empty_balance: Option<OnEmptyBalance>,
}

/// What is done with a campaign that could not begin when it was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Misfire {
    /// It begins up to so many minutes late; later it is paused, and somebody decides.
    pub late_minutes: u32,
}

/// Hours of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowRequest {
    /// `08:00`.
    pub from: String,
    /// `21:00`.
    pub to: String,
    /// Asia/Shanghai unless given.
    #[serde(default = "shanghai")]
    pub time_zone: String,
}

fn shanghai() -> String {
    "Asia/Shanghai".to_owned()
}

impl WindowRequest {
    /// The window, or what is wrong with it.
    pub(super) fn window(&self) -> Result<Window, domain::window::WindowError> {
        Window::new(&self.from, &self.to, &self.time_zone)
    }
}

/// Who gets a campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Audience {
    /// Everyone with a record for the template.
    Subscribers {},
    /// Those of them who fit.
    Segment {
        /// Every one of these tags.
        #[serde(default)]
        tags: Vec<String>,
        /// And this condition.
        #[serde(default, rename = "where")]
        condition: Option<Value>,
    },
    /// These.
    Recipients {
        /// In the order of the sheet; empty where it is kept apart.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        recipients: Vec<Listed>,
        /// How many there are, where they are kept apart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<i64>,
    },
    /// Those of an uploaded sheet.
    Upload {
        /// Which.
        upload_id: String,
        /// How many messages it makes, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<i64>,
    },
}

/// A given recipient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// To whom.
    pub to: ListedTo,
    /// Values for placeholders.
    #[serde(default)]
    pub vars: Map<String, Value>,
}

/// How a recipient is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ListedTo {
    /// By the openid.
    Openid(String),
    /// `{"external_id": …}` or `{"attribute": {name: value}}`.
    Found(Map<String, Value>),
}

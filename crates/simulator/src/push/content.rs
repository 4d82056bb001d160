//! The plaintext of a push, in JSON and XML as WeChat writes them: one list item is an object in JSON,
//! several are an array; XML wraps the list in the event's own tag.

use std::{borrow::Cow, fmt::Write};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::{CallbackFormat, Decision};

pub(crate) enum Content {
    /// The request popup was answered, for all its templates at once.
    Popup(Vec<(String, Decision)>),
    /// Templates switched to 拒收.
    Change(Vec<String>),
    /// A message arrived at the phone.
    Sent { template_id: String, msgid: Option<u64>, failed: Option<(i32, String)> },
    /// A word to customer service.
    Text { text: String, msgid: u64 },
    /// Any other event, with its fields at top level.
    Other(Other),
}

/// An event about which the simulator knows nothing but its fields.
pub(crate) struct Other {
    pub(crate) event: String,
    /// FromUserName, where that is not the person.
    pub(crate) from: Option<String>,
    pub(crate) fields: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Json<'a> {
    to_user_name: &'a str,
    from_user_name: &'a str,
    create_time: i64,
    msg_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<List<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_id: Option<u64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    fields: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypt: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum List<'a> {
    One(Item<'a>),
    Many(Vec<Item<'a>>),
}

/// The fields of any item, in WeChat's order; those it has not are left out.
#[derive(Serialize)]
struct Item<'a> {
    #[serde(rename = "TemplateId")]
    template_id: &'a str,
    #[serde(rename = "SubscribeStatusString", skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(rename = "PopupScene", skip_serializing_if = "Option::is_none")]
    scene: Option<&'a str>,
    #[serde(rename = "MsgID", skip_serializing_if = "Option::is_none")]
    msgid: Option<String>,
    #[serde(rename = "ErrorCode", skip_serializing_if = "Option::is_none")]
    error_code: Option<Cow<'a, str>>,
    #[serde(rename = "ErrorStatus", skip_serializing_if = "Option::is_none")]
    error_status: Option<&'a str>,
}

impl<'a> Item<'a> {
    fn new(template_id: &'a str) -> Self {
        Self { template_id, status: None, scene: None, msgid: None, error_code: None, error_status: None }
    }
}

impl Content {
    /// The event's name, or the kind of message.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Popup(_) => "subscribe_msg_popup_event",
            Self::Change(_) => "subscribe_msg_change_event",
            Self::Sent { .. } => "subscribe_msg_sent_event",
            Self::Text { .. } => "text",
            Self::Other(other) => return Cow::Owned(other.event.clone()),
        })
    }

    /// The templates that it is about.
    pub(crate) fn templates(&self) -> Vec<&str> {
        match self {
            Self::Popup(decisions) => decisions.iter().map(|(id, _)| id.as_str()).collect(),
            Self::Change(ids) => ids.iter().map(String::as_str).collect(),
            Self::Sent { template_id, .. } => vec![template_id],
            Self::Text { .. } | Self::Other(_) => Vec::new(),
        }
    }

    /// `encrypt` is what compatible mode adds beside the plain fields.
    pub(crate) fn write(
        &self,
        format: CallbackFormat,
        to: &str,
        from: &str,
        created: i64,
        encrypt: Option<&str>,
    ) -> String {
        let from = match self {
            Self::Other(Other { from: Some(platform), .. }) => platform,
            _ => from,
        };
        match format {
            CallbackFormat::Json => self.json(to, from, created, encrypt),
            CallbackFormat::Xml => self.xml(to, from, created, encrypt),
        }
    }

    fn items(&self) -> Vec<Item<'_>> {
        match self {
            Self::Popup(decisions) => decisions
                .iter()
                .map(|(id, decision)| Item {
                    status: Some(decision.as_str()),
                    scene: Some("0"),
                    ..Item::new(id)
                })
                .collect(),
            Self::Change(ids) => {
                ids.iter().map(|id| Item { status: Some("reject"), ..Item::new(id) }).collect()
            }
            Self::Sent { template_id, msgid, failed } => {
                let (code, status) = match failed {
                    None => (Cow::Borrowed("0"), "success"),
                    Some((code, status)) => (Cow::Owned(code.to_string()), status.as_str()),
                };
                vec![Item {
                    msgid: msgid.map(|msgid| msgid.to_string()),
                    error_code: Some(code),
                    error_status: Some(status),
                    ..Item::new(template_id)
                }]
            }
            Self::Text { .. } | Self::Other(_) => Vec::new(),
        }
    }

    fn json(&self, to: &str, from: &str, created: i64, encrypt: Option<&str>) -> String {
        let mut items = self.items();
        let list = match items.len() {
            0 => None,
            1 => items.pop().map(List::One),
            _ => Some(List::Many(items)),
        };
        let name = self.name();
        let (event, content, msg_id) = match self {
            Self::Text { text, msgid } => (None, Some(text.as_str()), Some(*msgid)),
            _ => (Some(&*name), None, None),
        };
        let push = Json {
            to_user_name: to,
            from_user_name: from,
            create_time: created,
            msg_type: if event.is_some() { "event" } else { "text" },
            event,
            list,
            content,
            msg_id,
            fields: match self {
                Self::Other(other) => Some(&other.fields),
                _ => None,
            },
            encrypt,
        };
        // Strings and numbers only: it cannot fail.
        serde_json::to_string(&push).unwrap_or_default()
    }

    fn xml(&self, to: &str, from: &str, created: i64, encrypt: Option<&str>) -> String {
        let mut xml = String::with_capacity(512);
        xml.push_str("<xml>");
        text_tag(&mut xml, "ToUserName", to);
        text_tag(&mut xml, "FromUserName", from);
        number_tag(&mut xml, "CreateTime", created);
        if let Self::Text { text, msgid } = self {
            text_tag(&mut xml, "MsgType", "text");
            text_tag(&mut xml, "Content", text);
            number_tag(&mut xml, "MsgId", msgid);
        } else if let Self::Other(other) = self {
            text_tag(&mut xml, "MsgType", "event");
            text_tag(&mut xml, "Event", &other.event);
            other.fields.iter().for_each(|(name, value)| value_tag(&mut xml, name, value));
        } else {
            text_tag(&mut xml, "MsgType", "event");
            text_tag(&mut xml, "Event", &self.name());
            let wrapper = match self {
                Self::Popup(_) => "SubscribeMsgPopupEvent",
                Self::Change(_) => "SubscribeMsgChangeEvent",
                _ => "SubscribeMsgSentEvent",
            };
            let _ = write!(xml, "<{wrapper}>");
            for item in self.items() {
                xml.push_str("<List>");
                text_tag(&mut xml, "TemplateId", item.template_id);
                for (tag, value) in [
                    ("SubscribeStatusString", item.status),
                    ("PopupScene", item.scene),
                    ("MsgID", item.msgid.as_deref()),
                    ("ErrorCode", item.error_code.as_deref()),
                    ("ErrorStatus", item.error_status),
                ] {
                    match value {
                        // Digits stand bare.
                        Some(value) if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                            number_tag(&mut xml, tag, value);
                        }
                        Some(value) => text_tag(&mut xml, tag, value),
                        None => {}
                    }
                }
                xml.push_str("</List>");
            }
            let _ = write!(xml, "</{wrapper}>");
        }
        if let Some(encrypt) = encrypt {
            text_tag(&mut xml, "Encrypt", encrypt);
        }
        xml.push_str("</xml>");
        xml
    }
}

/// `<Tag><![CDATA[…]]></Tag>`; a `]]>` inside is split over two sections.
pub(crate) fn text_tag(xml: &mut String, tag: &str, text: &str) {
    let _ = write!(xml, "<{tag}><![CDATA[{}]]></{tag}>", text.replace("]]>", "]]]]><![CDATA[>"));
}

fn number_tag(xml: &mut String, tag: &str, number: impl std::fmt::Display) {
    let _ = write!(xml, "<{tag}>{number}</{tag}>");
}

/// Objects become tags in tags, arrays the same tag several times.
fn value_tag(xml: &mut String, tag: &str, value: &Value) {
    match value {
        Value::String(text) => text_tag(xml, tag, text),
        Value::Array(all) => all.iter().for_each(|one| value_tag(xml, tag, one)),
        Value::Object(fields) => {
            let _ = write!(xml, "<{tag}>");
            fields.iter().for_each(|(name, value)| value_tag(xml, name, value));
            let _ = write!(xml, "</{tag}>");
        }
        other => number_tag(xml, tag, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_the_case_it_grew_from() {
        let id = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ";
        let popup = Content::Popup(vec![(id.to_owned(), Decision::Accept)]);
        let json = popup.write(CallbackFormat::Json, "gh_ea84a199bf81", "oG0N", 1_686_131_943, None);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"ToUserName":"gh_ea84a199bf81","FromUserName":"oG0N","CreateTime":1_686_131_943,
                "MsgType":"event","Event":"subscribe_msg_popup_event",
                "List":{"PopupScene":"0","SubscribeStatusString":"accept","TemplateId":id}})
        );
    }

    #[test]
    fn several_are_an_array_and_repeat_in_xml() {
        let change = Content::Change(vec!["a".to_owned(), "b".to_owned()]);
        let json = change.write(CallbackFormat::Json, "gh", "o", 1, None);
        assert!(json.contains(r#""List":[{"TemplateId":"a","SubscribeStatusString":"reject"},{"#), "{json}");
        let xml = change.write(CallbackFormat::Xml, "gh", "o", 1, None);
        assert_eq!(xml.matches("<List>").count(), 2);
        assert!(
            xml.contains("<SubscribeMsgChangeEvent><List><TemplateId><![CDATA[a]]></TemplateId>"),
            "{xml}"
        );
    }

    #[test]
    fn a_chat_cannot_leave_its_cdata() {
        let chat = Content::Text { text: "a]]><x/>".to_owned(), msgid: 5 };
        let xml = chat.write(CallbackFormat::Xml, "gh", "o", 1, None);
        assert!(xml.contains("<![CDATA[a]]]]><![CDATA[><x/>]]>"), "{xml}");
    }
}

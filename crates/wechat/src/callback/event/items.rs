//! Reads the lists of the three subscribe events in all their shapes: used by [`parse`](super::parse) only.

use super::super::MAX_ITEMS;
use super::super::tree::Node;
use super::{ChangeItem, Decision, ParseError, PopupItem, SentItem};

pub(super) fn popup(tree: &Node) -> Result<Vec<PopupItem>, ParseError> {
    each(tree, "SubscribeMsgPopupEvent", |item| {
        Ok(PopupItem {
            template_id: need(item, "TemplateId")?,
            decision: Decision::read(&need(item, "SubscribeStatusString")?),
            scene: item.text("PopupScene").map(str::to_owned),
        })
    })
}

pub(super) fn change(tree: &Node) -> Result<Vec<ChangeItem>, ParseError> {
    each(tree, "SubscribeMsgChangeEvent", |item| {
        Ok(ChangeItem {
            template_id: need(item, "TemplateId")?,
            decision: Decision::read(&need(item, "SubscribeStatusString")?),
        })
    })
}

pub(super) fn sent(tree: &Node) -> Result<Vec<SentItem>, ParseError> {
    each(tree, "SubscribeMsgSentEvent", |item| {
        let code = need(item, "ErrorCode")?;
        Ok(SentItem {
            template_id: need(item, "TemplateId")?,
            msg_id: item.text("MsgID").and_then(|digits| digits.trim().parse().ok()),
            error_code: code.parse().map_err(|_| ParseError::NotANumber("ErrorCode"))?,
            error_status: item.text("ErrorStatus").unwrap_or_default().to_owned(),
        })
    })
}

/// Reads every item, wherever the list stands: `List`, `<wrapper>.List`, or the wrapper itself.
fn each<T>(
    tree: &Node,
    wrapper: &str,
    read: impl Fn(&Node) -> Result<T, ParseError>,
) -> Result<Vec<T>, ParseError> {
    let mut items = tree.children("List");
    if items.is_empty() {
        for outer in tree.children(wrapper) {
            let inner = outer.children("List");
            if inner.is_empty() && !outer.has("List") { items.push(outer) } else { items.extend(inner) }
        }
    }
    if items.is_empty() {
        return Err(ParseError::Missing("List"));
    }
    if items.len() > MAX_ITEMS {
        return Err(ParseError::TooManyItems);
    }
    items.into_iter().map(read).collect()
}

fn need(item: &Node, name: &'static str) -> Result<String, ParseError> {
    match item.text(name).map(str::trim) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(ParseError::Missing(name)),
    }
}

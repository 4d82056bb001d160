//! One small tree for JSON and XML bodies, bounded in size and depth: used by `open` (the envelope) and `event`.
//!
//! Numbers stay text, so that a 64-bit MsgID never passes through a float. Names are compared without regard to ASCII
//! case, because WeChat's own pages and the SDKs spell them differently (`Encrypt`/`encrypt`, `MsgID`/`MsgId`).

mod json;
mod xml;

use super::{Format, MAX_BODY_BYTES};

/// A value of JSON or an element of XML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// JSON null.
    Null,
    /// A string, number or boolean; an element without child elements.
    Text(String),
    /// An object; an element with child elements, in order, names may repeat.
    Map(Vec<(String, Node)>),
    /// A JSON array.
    List(Vec<Node>),
}

/// Why a body is no tree. Never holds parts of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// It begins neither with `{` nor with `<`.
    #[error("the body is neither JSON nor XML")]
    NeitherJsonNorXml,
    /// It is larger than [`MAX_BODY_BYTES`].
    #[error("the body is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    /// It is nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the body is nested too deeply")]
    TooDeep,
    /// It begins like JSON but is not well formed, or not UTF-8.
    #[error("the body is not well-formed JSON")]
    Json,
    /// It begins like XML but is not well formed, or not UTF-8.
    #[error("the body is not well-formed XML")]
    Xml,
    /// It holds a document type or an entity that is not one of the five predefined ones.
    #[error("the XML body holds a document type or an entity")]
    Entity,
}

impl Node {
    /// Reads a body; the format is told by the first non-blank byte.
    pub(crate) fn read(body: &[u8]) -> Result<(Format, Self), TreeError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(TreeError::TooLarge);
        }
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match Format::detect(body) {
            Some(Format::Json) => Ok((Format::Json, json::read(body)?)),
            Some(Format::Xml) => Ok((Format::Xml, xml::read(body)?)),
            None => Err(TreeError::NeitherJsonNorXml),
        }
    }

    /// Gives every child of this name; arrays are taken apart, so that one item, repeated elements and an array are alike.
    pub(crate) fn children<'n>(&'n self, name: &str) -> Vec<&'n Self> {
        let Self::Map(entries) = self else { return Vec::new() };
        let mut found = Vec::new();
        for (_, child) in entries.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)) {
            match child {
                Self::List(items) => found.extend(items),
                Self::Null => {}
                other => found.push(other),
            }
        }
        found
    }

    /// Tells whether there is a child of this name, whatever it is.
    pub(crate) fn has(&self, name: &str) -> bool {
        matches!(self, Self::Map(entries) if entries.iter().any(|(key, _)| key.eq_ignore_ascii_case(name)))
    }

    /// Gives the text of the first child of this name, if it is a text.
    pub(crate) fn text<'n>(&'n self, name: &str) -> Option<&'n str> {
        let Self::Map(entries) = self else { return None };
        match entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            Some((_, Self::Text(text))) => Some(text),
            _ => None,
        }
    }
}

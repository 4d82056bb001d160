//! Reads XML into a [`Node`], without document types and entities: used by [`Node::read`] only.
//!
//! Refusing document types and undeclared entities closes the known XXE hole of WeChat SDKs (the warning stands on
//! WeChat Pay's page "关于XML解析存在的安全问题指引").

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use super::super::MAX_DEPTH;
use super::{Node, TreeError};

/// An element that is not closed yet.
struct Open {
    name: String,
    text: String,
    children: Vec<(String, Node)>,
}

impl Open {
    fn new(name: String) -> Self {
        Self { name, text: String::new(), children: Vec::new() }
    }

    fn close(self) -> (String, Node) {
        let node = if self.children.is_empty() { Node::Text(self.text) } else { Node::Map(self.children) };
        (self.name, node)
    }
}

pub(super) fn read(body: &[u8]) -> Result<Node, TreeError> {
    let text = std::str::from_utf8(body).map_err(|_| TreeError::Xml)?;
    let mut reader = Reader::from_str(text);
    let mut stack: Vec<Open> = Vec::new();
    let mut root = None;
    loop {
        match reader.read_event().map_err(|_| TreeError::Xml)? {
            Event::Start(tag) => {
                if stack.len() >= MAX_DEPTH {
                    return Err(TreeError::TooDeep);
                }
                stack.push(Open::new(tag.name().as_ref().to_owned()));
            }
            Event::Empty(tag) => {
                if stack.len() >= MAX_DEPTH {
                    return Err(TreeError::TooDeep);
                }
                attach(&mut stack, &mut root, Open::new(tag.name().as_ref().to_owned()).close())?;
            }
            Event::End(_) => {
                let done = stack.pop().ok_or(TreeError::Xml)?.close();
                attach(&mut stack, &mut root, done)?;
            }
            Event::Text(part) => add(&mut stack, &part.xml10_content())?,
            Event::CData(part) => {
                let open = stack.last_mut().ok_or(TreeError::Xml)?;
                open.text.push_str(&part.xml10_content());
            }
            Event::GeneralRef(reference) => {
                if let Some(character) = reference.resolve_char_ref().map_err(|_| TreeError::Xml)? {
                    add(&mut stack, character.encode_utf8(&mut [0; 4]))?;
                } else {
                    let resolved = resolve_predefined_entity(&reference).ok_or(TreeError::Entity)?;
                    add(&mut stack, resolved)?;
                }
            }
            Event::DocType(_) => return Err(TreeError::Entity),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if !stack.is_empty() {
        return Err(TreeError::Xml);
    }
    root.ok_or(TreeError::Xml)
}

/// Adds text to the innermost element; outside of the root only blanks may stand.
fn add(stack: &mut [Open], text: &str) -> Result<(), TreeError> {
    match stack.last_mut() {
        Some(open) => open.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(TreeError::Xml),
    }
    Ok(())
}

/// Hangs a finished element into its parent, or makes it the root.
fn attach(stack: &mut [Open], root: &mut Option<Node>, done: (String, Node)) -> Result<(), TreeError> {
    match stack.last_mut() {
        Some(parent) => parent.children.push(done),
        None if root.is_none() => *root = Some(done.1),
        None => return Err(TreeError::Xml),
    }
    Ok(())
}

//! The texts that the cells of a file share, in one piece of memory.

use quick_xml::events::Event;

use super::{Xml, next, push};
use crate::error::SheetError;

#[derive(Default)]
pub(super) struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl Strings {
    pub(super) fn read(xml: &mut Xml<'_>) -> Result<Self, SheetError> {
        let mut strings = Self::default();
        let mut buffer = Vec::new();
        // Depths: inside <t>, and inside <rPh>, the reading that stands above Japanese words.
        let (mut inside, mut above) = (false, false);
        while let Some(event) = next(xml, &mut buffer)? {
            match &event {
                Event::Start(start) => match start.local_name().as_ref() {
                    "t" => inside = true,
                    "rPh" => above = true,
                    _ => {}
                },
                Event::End(end) => match end.local_name().as_ref() {
                    "t" => inside = false,
                    "rPh" => above = false,
                    "si" => strings.ends.push(strings.text.len()),
                    _ => {}
                },
                Event::Empty(empty) if empty.local_name().as_ref() == "si" => {
                    strings.ends.push(strings.text.len());
                }
                event if inside && !above => push(&mut strings.text, event)?,
                _ => {}
            }
        }
        Ok(strings)
    }

    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..end)
    }
}

//! The two languages of what people read: used by the templates' and the error catalogue's texts.

use serde::{Deserialize, Serialize};

/// A language for texts that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lang {
    /// Chinese (simplified), in WeChat's own words.
    #[default]
    Zh,
    /// English.
    En,
}

impl Lang {
    /// Gives the text of this language.
    pub(crate) fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

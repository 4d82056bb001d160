//! The language of the terminal: Chinese where the locale says so, else English.

use service::Lang;

/// By `HONGYAN_LANG`, then the usual variables.
pub(crate) fn lang() -> Lang {
    let set = ["HONGYAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    if set.is_some_and(|value| value.to_ascii_lowercase().starts_with("zh")) { Lang::Zh } else { Lang::En }
}

/// The text in the terminal's language.
pub(crate) fn say<'t>(zh: &'t str, en: &'t str) -> &'t str {
    match lang() {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

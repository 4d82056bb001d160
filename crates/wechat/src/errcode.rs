//! What WeChat's `errcode`s mean and what to do about them: used wherever an answer decides a message's fate or is shown.
//!
//! Sources: the error tables of the official pages "发送订阅消息", "获取稳定版接口调用凭据", "获取接口调用凭据", the
//! subscribe-template pages (newtmpl), "小程序登录", "openApi管理", "服务端 API 签名", the open platform's error list, and
//! for the most general codes the "全局返回码" page. Meanings and remedies are this crate's own short words.

mod explain;
mod general;
mod management;
mod sending;
mod token;

use crate::Lang;

pub use explain::{explain, field, ip, rid};

/// What an answer with this code says about the call, seen from the send call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// It worked.
    Ok,
    /// Not done: the access token is not accepted. Refresh it once and call again.
    RefreshToken,
    /// Not done: call again soon.
    Retry,
    /// Perhaps done, perhaps not (−1): a second call can send twice, or meet 43101 although the first was delivered.
    Ambiguous,
    /// Not done: this user has no usable grant (43101). An outcome, not a fault.
    Refused,
    /// Not done, and the same call will never work.
    Permanent,
    /// Not done, and no call of this account will work before somebody changes something at WeChat or here.
    Configuration,
    /// Not done: a daily or monthly quota is used up.
    Quota,
    /// Not done: too many calls in this minute; the next one is free again.
    MinuteLimit,
}

/// One code of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The `errcode`.
    pub code: i64,
    /// What it says about the send call. A code of other calls only is classed as if the send call gave it.
    pub class: Class,
    /// What it means, in Chinese.
    pub meaning_zh: &'static str,
    /// What to do, in Chinese.
    pub remedy_zh: &'static str,
    /// What it means, in English.
    pub meaning_en: &'static str,
    /// What to do, in English.
    pub remedy_en: &'static str,
}

impl Entry {
    /// What it means.
    pub fn meaning(&self, lang: Lang) -> &'static str {
        lang.pick(self.meaning_zh, self.meaning_en)
    }

    /// What to do about it.
    pub fn remedy(&self, lang: Lang) -> &'static str {
        lang.pick(self.remedy_zh, self.remedy_en)
    }
}

/// Makes an entry from (meaning, remedy) in both languages.
const fn entry(
    code: i64,
    class: Class,
    zh: (&'static str, &'static str),
    en: (&'static str, &'static str),
) -> Entry {
    Entry { code, class, meaning_zh: zh.0, remedy_zh: zh.1, meaning_en: en.0, remedy_en: en.1 }
}

/// Finds a code; none if the catalogue does not know it.
pub fn lookup(code: i64) -> Option<&'static Entry> {
    catalogue().find(|entry| entry.code == code)
}

/// Every entry, for documents and pages. Each code occurs once.
pub fn catalogue() -> impl Iterator<Item = &'static Entry> {
    [sending::ENTRIES, token::ENTRIES, management::ENTRIES, general::ENTRIES].into_iter().flatten()
}

/// What a well-formed answer of the **send** call with this code means.
///
/// A code that the catalogue does not know is [`Class::Permanent`]: WeChat answered and refused, so nothing was sent, and
/// to repeat a call for an unknown reason could go on for ever. The operator sees code and text and can resend.
pub fn class(code: i64) -> Class {
    if code == 0 { Class::Ok } else { lookup(code).map_or(Class::Permanent, |entry| entry.class) }
}

/// What a well-formed answer of a **token** call with this code means.
///
/// Other than for the send call, 40001 means a wrong AppSecret here, and −1 costs nothing to repeat. Source: the error
/// tables of "获取稳定版接口调用凭据".
pub fn token_class(code: i64) -> Class {
    match code {
        40001 | 40014 | 42001 => Class::Configuration,
        -1 => Class::Retry,
        _ => match class(code) {
            Class::Permanent => Class::Configuration,
            other => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_code_occurs_once_and_is_found() {
        let codes: Vec<i64> = catalogue().map(|entry| entry.code).collect();
        assert_eq!(codes.len(), codes.iter().collect::<BTreeSet<_>>().len());
        for code in codes {
            assert_eq!(lookup(code).unwrap().code, code);
        }
        assert!(lookup(123_456).is_none());
    }

    #[test]
    fn every_text_is_there_in_its_language() {
        for entry in catalogue() {
            for text in [entry.meaning_en, entry.remedy_en] {
                assert!(!text.is_empty() && text.is_ascii(), "{} {text}", entry.code);
            }
            for text in [entry.meaning_zh, entry.remedy_zh] {
                assert!(text.chars().any(|c| c > '\u{4e00}'), "{} {text}", entry.code);
                assert!(!text.contains(['亲', '您']), "{} {text}", entry.code);
            }
        }
    }

    #[test]
    fn the_send_call_has_its_classes() {
        use Class::*;
        for (code, expected) in [
            (0, Ok),
            (-1, Ambiguous),
            (40001, RefreshToken),
            (40014, RefreshToken),
            (42001, RefreshToken),
            (40003, Permanent),
            (40037, Permanent),
            (41030, Permanent),
            (47003, Permanent),
            (45168, Permanent),
            (43101, Refused),
            (43107, Configuration),
            (43108, Retry),
            (40013, Configuration),
            (40125, Configuration),
            (40164, Configuration),
            (48001, Configuration),
            (45009, Quota),
            (45011, MinuteLimit),
            (987_654, Permanent),
        ] {
            assert_eq!(class(code), expected, "{code}");
        }
    }

    #[test]
    fn the_token_call_has_its_own() {
        for (code, expected) in [
            (0, Class::Ok),
            (-1, Class::Retry),
            (40001, Class::Configuration),
            (40125, Class::Configuration),
            (40164, Class::Configuration),
            (45009, Class::Quota),
            (45011, Class::MinuteLimit),
            (777_777, Class::Configuration),
        ] {
            assert_eq!(token_class(code), expected, "{code}");
        }
    }

    #[test]
    fn every_code_of_the_pages_is_known() {
        for code in [
            // send
            -1, 0, 40001, 40003, 40013, 40014, 40037, 40165, 41001, 41030, 42001, 43101, 43107, 43108, 43116,
            44002, 45009, 45011, 45168, 47001, 47003, 48001, 48004, 50002, 61004, 61007, // token
            40002, 40125, 40164, 40243, 41002, 41004, 43002, 50004, 50007, 89503, 89506, 89507,
            // newtmpl
            404, 20001, 20002, 40400, 200001, 200002, 200011, 200012, 200013, 200014, 200016, 200017, 200018,
            200019, 200020, 200021, 200022, 200100, // login
            40029, 40163, 40226, 87007, 87008, 87009,
            // quota, diagnostics, platform, API security
            40201, 40202, 40203, 48006, 48017, 61003, 61005, 61006, 61023, 76001, 76002, 76003, 76004, 76021,
            76022, 40230, 40234, 40235, 40240,
        ] {
            assert!(lookup(code).is_some(), "{code}");
        }
    }
}

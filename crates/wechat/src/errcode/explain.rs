//! Turns an answer into a sentence for people: used by pages, logs and the interface's `explanation`.

use super::lookup;
use crate::Lang;

/// Says what a code means and what to do, with what its `errmsg` tells besides: the address for 40164, the field for 47003.
///
/// The text of an unknown code is WeChat's own, without the rid.
pub fn explain(code: i64, errmsg: &str, lang: Lang) -> String {
    let Some(entry) = lookup(code) else {
        let said = before_rid(errmsg);
        return match lang {
            Lang::Zh if said.is_empty() => format!("微信返回错误 {code}，没有说明。请查微信的返回码文档。"),
            Lang::Zh => format!("微信返回错误 {code}：{said}。请查微信的返回码文档。"),
            Lang::En if said.is_empty() => {
                format!("WeChat answered {code} without a text. Look it up in WeChat's list of codes.")
            }
            Lang::En => format!("WeChat answered {code}: {said}. Look it up in WeChat's list of codes."),
        };
    };
    let detail = match code {
        40164 => ip(errmsg).map(str::to_owned),
        47003 => field(errmsg).map(str::to_owned),
        _ => None,
    };
    let (meaning, remedy) = (entry.meaning(lang), entry.remedy(lang));
    match (lang, detail) {
        (Lang::Zh, None) => format!("{meaning}。{remedy}。"),
        (Lang::Zh, Some(detail)) => format!("{meaning}（{detail}）。{remedy}。"),
        (Lang::En, None) => format!("{}. {}.", first_upper(meaning), first_upper(remedy)),
        (Lang::En, Some(detail)) => format!("{} ({detail}). {}.", first_upper(meaning), first_upper(remedy)),
    }
}

/// Gives the request id at the end of an `errmsg` (`rid: 5f…-…-…`), by which WeChat explains the call for 7 days.
///
/// Source: official page "获取 rid 请求信息".
pub fn rid(errmsg: &str) -> Option<&str> {
    let (_, after) = errmsg.rsplit_once("rid:")?;
    let word = after.split_whitespace().next()?.trim_end_matches([',', '.', ']', '"']);
    let fits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits.then_some(word)
}

/// Gives the refused address in the `errmsg` of 40164: `invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist`.
pub fn ip(errmsg: &str) -> Option<&str> {
    let (_, after) = errmsg.split_once("invalid ip ")?;
    let word = after.split([' ', ',']).next()?;
    word.parse::<std::net::IpAddr>().is_ok().then_some(word)
}

/// Gives the field in the `errmsg` of 47003: `argument invalid! data.time4.value invalid rid: …`.
pub fn field(errmsg: &str) -> Option<&str> {
    let (_, after) = errmsg.split_once("data.")?;
    let word = after.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next()?;
    (!word.is_empty()).then_some(word)
}

/// What stands before the rid or the older hint.
fn before_rid(errmsg: &str) -> &str {
    let end = ["rid:", "hint:"].iter().filter_map(|mark| errmsg.find(mark)).min();
    errmsg.get(..end.unwrap_or(errmsg.len())).unwrap_or(errmsg).trim().trim_end_matches(['.', ',', '。'])
}

fn first_upper(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rid_is_found() {
        assert_eq!(rid("invalid openid rid: 5f60b1a2-3c4d5e6f-70818293"), Some("5f60b1a2-3c4d5e6f-70818293"));
        assert_eq!(rid("x rid: abc-1, more"), Some("abc-1"));
        for none in ["ok", "rid:", "rid: ", "rid: <script>", "hint: [abc]"] {
            assert_eq!(rid(none), None, "{none}");
        }
    }

    #[test]
    fn the_address_is_found() {
        let said = "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 1-2-3";
        assert_eq!(ip(said), Some("1.2.3.4"));
        assert!(explain(40164, said, Lang::Zh).contains("（1.2.3.4）"));
        assert!(explain(40164, said, Lang::En).contains("(1.2.3.4)"));
        assert_eq!(ip("invalid ip 2001:db8::1, not in whitelist"), Some("2001:db8::1"));
        assert_eq!(ip("invalid ip nonsense"), None);
    }

    #[test]
    fn the_field_is_found() {
        for (said, expected) in [
            ("argument invalid! data.time4.value invalid rid: 1-2", Some("time4")),
            ("argument invalid! data.time14.value is empty rid: 1-2", Some("time14")),
            ("argument invalid! data.character_string13.value rid: 1-2", Some("character_string13")),
            ("argument invalid! rid: 1-2", None),
        ] {
            assert_eq!(field(said), expected);
        }
        let told = explain(47003, "argument invalid! data.time4.value invalid", Lang::Zh);
        assert_eq!(told, "内容不符合模板字段的要求（time4）。按模板核对字段和格式，修改后重新发送。");
    }

    #[test]
    fn unknown_codes_are_told_in_wechats_words() {
        let told = explain(123_456, "strange thing. rid: 1-2-3", Lang::En);
        assert_eq!(told, "WeChat answered 123456: strange thing. Look it up in WeChat's list of codes.");
        assert!(explain(123_456, "", Lang::Zh).contains("没有说明"));
    }

    #[test]
    fn nobody_is_said_to_have_refused() {
        let told = explain(43101, "user refuse to accept the msg rid: 1-2", Lang::Zh);
        assert!(told.contains("次数已用完") && !told.contains("用户拒绝"), "{told}");
    }
}

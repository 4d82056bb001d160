//! The shape of what people give: AppIDs, openids, names, pages. Used by every use case that takes one.

use crate::problem::FieldError;

/// Whether this can be an AppID: `wx` and 16 hexadecimal digits at WeChat; other letters are let through, since test
/// accounts and platforms differ.
pub fn app_id(text: &str) -> bool {
    (8..=32).contains(&text.len())
        && text.starts_with("wx")
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether this can be an openid: 28 characters at WeChat, but the length is nowhere promised.
pub fn openid(text: &str) -> bool {
    (16..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The page without its leading slash, or what is wrong with it.
pub fn page(text: &str) -> Result<String, FieldError> {
    let page = text.strip_prefix('/').unwrap_or(text);
    let wrong = |zh: &str, en: &str| Err(FieldError::new("/page", "invalid_page", zh, en));
    if page.is_empty() {
        return wrong(
            "page 不能为空；不需要跳转时请不要传 page。",
            "page must not be empty; leave it out where the card opens nothing.",
        );
    }
    if page.contains("://") || text.starts_with("//") {
        return wrong(
            "page 应是小程序内的页面路径，例如 pages/index?id=1，而不是网址。",
            "page is a path inside the mini program, such as pages/index?id=1, not a URL.",
        );
    }
    if page.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong(
            "page 不能含空格或换行；请先做 URL 编码。",
            "page must not hold spaces or line breaks; URL-encode them.",
        );
    }
    if page.len() > 1024 {
        return wrong("page 最长 1024 字节。", "page may be 1024 bytes long at most.");
    }
    Ok(page.to_owned())
}

/// A callback alias as a path: `/user`.
pub fn alias(text: &str) -> Option<String> {
    let path = format!("/{}", text.trim_matches('/'));
    let reserved = ["/api", "/callback", "/mp", "/healthz", "/readyz", "/metrics", "/docs", "/kit"];
    let first = path.split('/').nth(1).unwrap_or_default();
    let ok = path.len() > 1
        && path.len() <= 200
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b))
        && !path.contains("//")
        && !reserved.contains(&format!("/{first}").as_str());
    ok.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        assert!(app_id("wxba5fad812f8e6fb9") && !app_id("gh_97417a04a28d") && !app_id("wx'; drop"));
        assert!(
            openid("oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s")
                && !openid("13800138000")
                && !openid("oG0NJ5Oi 3Dd1HlZJ14xfnA0sJ6s")
        );
        assert_eq!(page("/pages/index?id=1").unwrap(), "pages/index?id=1");
        for wrong in ["", "/", "https://example.com/x", "//x", "pages/a b", "pages/a\nb"] {
            assert!(page(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(alias("user").as_deref(), Some("/user"));
        for wrong in ["", "/", "/api/v1", "/callback/x", "/a//b", "/ü", "/metrics"] {
            assert_eq!(alias(wrong), None, "{wrong}");
        }
    }
}

//! What `page` may look like. WeChat checks it against the released version's pages; the simulator has none,
//! so it checks the form only.

/// Empty, or a path without leading slash, scheme or blanks, perhaps with a query.
pub(crate) fn is_well_formed(page: &str) -> bool {
    if page.is_empty() {
        return true;
    }
    let path = page.split('?').next().unwrap_or_default();
    page.len() <= 1024
        && !path.is_empty()
        && !path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte))
        && !path.split('/').any(|part| part == "..")
        && !page.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::is_well_formed;

    #[test]
    fn paths() {
        for good in
            ["", "index", "pages/index", "pages/index?room=3-1201&x=%E4%BD%A0", "pages/fee/detail?名=1"]
        {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in
            ["/pages/index", "https://a.example/x", "pages/in dex", "?x=1", "../x", "页面", "pages/x\n"]
        {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}

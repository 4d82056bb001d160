//! Links in Markdown files that lead to other files of the repository: the files must be there.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::tree;

/// Gives a line for each link that leads nowhere.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for path in tree::files(root, &[".md"])? {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} is not text", path.display()))?;
        for link in links(&text) {
            if let Some(target) = target(root, &path, &link)
                && !target.exists()
            {
                let name = path.strip_prefix(root).unwrap_or(&path).display();
                found.push(format!("{name}: links to {link}, which is not there"));
            }
        }
    }
    Ok(found)
}

/// What `[text](link)`, `[name]: link`, `src="link"` and `href="link"` name, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let prose = without_code(line);
            for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
                let parts = prose.split(open).skip(1);
                links.extend(parts.filter_map(|part| part.split_once(close)).map(|(link, _)| address(link)));
            }
            if let Some((name, link)) = trimmed.split_once("]: ")
                && name.starts_with('[')
                && !name.starts_with("[^")
            {
                links.push(address(link));
            }
        }
    }
    links
}

/// A link without the title that may follow it, and without pointed brackets.
fn address(link: &str) -> String {
    link.split(" \"").next().unwrap_or_default().trim().trim_matches(['<', '>']).to_owned()
}

/// Code in a line is no link, even where it looks like one.
fn without_code(line: &str) -> String {
    line.split('`').enumerate().map(|(number, part)| if number % 2 == 0 { part } else { "`" }).collect()
}

/// The file that a link leads to; none where it leads elsewhere, into the same page or, in a crate's README, to an
/// item of the code (which rustdoc checks).
fn target(root: &Path, from: &Path, link: &str) -> Option<PathBuf> {
    let path = link.split(['#', '?']).next().unwrap_or_default().replace("%20", " ");
    if path.is_empty() || link.contains("::") || link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    match path.strip_prefix('/') {
        Some(path) => Some(root.join(path)),
        None => Some(from.parent()?.join(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_every_form_are_read() {
        let text = "\
See [a](docs/A.md#part), ![b](b.png \"title\") and <img src=\"c.svg\" width=\"10\">; not `[d](d.md)`.
```text
[e](e.md)
```
[f]: <f g.md>
[^1]: note
<a href=\"h.md\"><img src=\"i.png\"></a> [j `code`](j.md)
";
        assert_eq!(links(text), ["docs/A.md#part", "b.png", "c.svg", "f g.md", "j.md", "i.png", "h.md"]);
    }

    #[test]
    fn only_files_are_followed() {
        let at = |link| target(Path::new("/r"), Path::new("/r/docs/README.md"), link);
        assert_eq!(at("A.md#part"), Some(PathBuf::from("/r/docs/A.md")));
        assert_eq!(at("../LICENSE"), Some(PathBuf::from("/r/docs/../LICENSE")));
        assert_eq!(at("/LICENSE"), Some(PathBuf::from("/r/LICENSE")));
        for elsewhere in ["https://example.com/a", "#part", "mailto:a@example.com", "crate::callback::sign"] {
            assert_eq!(at(elsewhere), None, "{elsewhere}");
        }
    }
}

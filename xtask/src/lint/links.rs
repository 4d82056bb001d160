//! Links in Markdown files that lead to other files of the repository, or to headings: both must be there.

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
            let name = path.strip_prefix(root).unwrap_or(&path).display();
            let target = target(root, &path, &link);
            if target.as_ref().is_some_and(|target| !target.exists()) {
                found.push(format!("{name}: links to {link}, which is not there"));
            } else if let Some(heading) = heading(&link)
                && let Ok(text) = std::fs::read_to_string(target.as_ref().unwrap_or(&path))
                && !headings(&text).any(|slug| slug == heading)
            {
                found.push(format!("{name}: links to {link}, where there is no such heading"));
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

/// The heading of a Markdown file of ours that a link leads to.
fn heading(link: &str) -> Option<&str> {
    let (file, heading) = link.split_once('#')?;
    (!file.contains("://") && (file.is_empty() || file.ends_with(".md"))).then_some(heading)
}

/// How the headings of a page are linked to: in small letters, hyphens for spaces, without signs.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let titles =
        text.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#'));
    titles.filter_map(|line| line.strip_prefix(' ')).map(|title| {
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
    })
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
    fn headings_are_linked_to_as_readers_see_them() {
        let text = "# 8. 第一条消息：先只发给自己人\n## `nginx`, Caddy\ntext\n#no\n";
        assert_eq!(headings(text).collect::<Vec<_>>(), ["8-第一条消息先只发给自己人", "nginx-caddy"]);
        assert_eq!(heading("A.md#part"), Some("part"));
        assert_eq!(heading("#part"), Some("part"));
        for other in ["A.md", "https://x.example/#part", "../src/lib.rs#L3"] {
            assert_eq!(heading(other), None, "{other}");
        }
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

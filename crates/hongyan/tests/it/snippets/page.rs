//! What a document holds: its fenced `sh` blocks, what is shown under each, and which are not to be run.

/// One block of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it begins in the document.
    pub(super) line: usize,
    pub(super) script: String,
    /// The block marked `text` or `json` that follows it: what it prints.
    pub(super) shown: Option<String>,
    /// Why it is not run: `<!-- not run: … -->` right above it.
    pub(super) left_out: Option<String>,
}

/// Reads a document. A shell's block of another name (`bash`, `console`) would pass unrun: it is an error, as is a mark without a
/// block or without a reason.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut mark: Option<String> = None;
    // Whether only blank lines and prose of one line stand between the last block and here.
    let mut fresh = false;
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let trimmed = line.trim();
        if let Some(rest) = trimmed.strip_prefix("<!-- not run:") {
            let why = rest.strip_suffix("-->").map(str::trim).filter(|why| why.len() > 10);
            mark = Some(why.ok_or(format!("line {}: why is it not run?", at + 1))?.to_owned());
            continue;
        }
        let Some(language) = trimmed.strip_prefix("```") else {
            if !trimmed.is_empty() {
                if let Some(why) = mark.take() {
                    return Err(format!("line {}: no block follows the mark “{why}”", at + 1));
                }
                fresh = fresh && trimmed.ends_with([':', '：']);
            }
            continue;
        };
        let content: Vec<&str> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
        let content = content.join("\n");
        match language {
            "sh" => {
                let (line, left_out) = (at + 1, mark.take());
                blocks.push(Block { line, script: content, shown: None, left_out });
                fresh = true;
            }
            "text" | "json" => {
                if let Some(block) = blocks.last_mut().filter(|_| fresh) {
                    block.shown = Some(content);
                }
                fresh = false;
            }
            "bash" | "shell" | "console" | "" => {
                return Err(format!("line {}: commands stand in a block called sh", at + 1));
            }
            _ => fresh = false,
        }
    }
    Ok(blocks)
}

/// Whether what was printed is what is shown: each shown line is found, in order, and `…` stands for anything.
pub(super) fn fits(shown: &str, printed: &str) -> Result<(), String> {
    let mut printed = printed.lines();
    for line in shown.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "…") {
        let parts: Vec<&str> = line.split('…').collect();
        if !printed.any(|have| matches(&parts, have.trim())) {
            return Err(format!("this line is shown, but was not printed: {line}"));
        }
    }
    Ok(())
}

/// Whether a line begins with the first part, ends with the last, and has the others in between.
fn matches(parts: &[&str], have: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.first().is_some_and(|only| *only == have) };
    let Some(mut rest) = have.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn blocks_are_found_with_what_they_print() {
    let text = "\
# Title
<!-- not run: it would take an hour -->
```sh
sleep 3600
```
```sh
echo a
echo b
```
prints:

```text
a
```
Some words.
```json
{}
```
";
    let found = blocks(text).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].left_out.as_deref(), Some("it would take an hour"));
    assert_eq!((found[1].script.as_str(), found[1].shown.as_deref()), ("echo a\necho b", Some("a")));
    assert!(blocks("```bash\nls\n```").is_err());
    assert!(blocks("<!-- not run: -->\n```sh\nls\n```").is_err());
    assert!(blocks("<!-- not run: some good reason -->\nwords\n```sh\nls\n```").is_err());
}

#[test]
fn dots_stand_for_anything_and_nothing_else_does() {
    fits("…\n✓ 1. up\nid …: accepted", "noise\n ✓ 1. up\nmore\nid 4711: accepted\n").unwrap();
    assert!(fits("b\na", "a\nb\n").is_err(), "in order");
    assert!(fits("id …: accepted", "id 4711: refused").is_err());
    assert!(fits("a", "ab").is_err());
}

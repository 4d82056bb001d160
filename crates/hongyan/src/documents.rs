//! Documents that say what the program says: the reference of the command line, of the configuration, and of WeChat's errcodes. These
//! tests compare them with the program, so that none goes stale; `HONGYAN_WRITE_DOCS=1 cargo test -p hongyan documents` writes those
//! that are made by it.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Arg, Command, CommandFactory};
use wechat::Lang;
use wechat::errcode::{Class, Entry, catalogue};

use crate::cli::Arguments;
use crate::config::DEFAULT_FILE;

fn path(document: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(document)
}

fn read(document: &str) -> String {
    std::fs::read_to_string(path(document)).unwrap_or_else(|error| panic!("docs/{document}: {error}"))
}

/// Compares a document with what it has to be, or writes it.
fn is_or_becomes(document: &str, wanted: &str) {
    if std::env::var_os("HONGYAN_WRITE_DOCS").is_some() {
        std::fs::write(path(document), wanted).unwrap();
    }
    let is = std::fs::read_to_string(path(document)).unwrap_or_default();
    let first = is.lines().zip(wanted.lines()).find(|(is, wanted)| is != wanted);
    assert!(
        is == wanted,
        "docs/{document} is not what the program says (HONGYAN_WRITE_DOCS=1 cargo test -p hongyan documents writes it); \
         first difference: {first:?}"
    );
}

/// Every command by its words, `app add`, with what clap knows of it.
fn commands() -> Vec<(String, Command)> {
    fn walk(command: &Command, before: &str, into: &mut Vec<(String, Command)>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let words = format!("{before}{}", sub.get_name());
            // A group that does nothing by itself is only its parts.
            if !sub.has_subcommands() || !sub.is_subcommand_required_set() {
                into.push((words.clone(), sub.clone()));
            }
            walk(sub, &format!("{words} "), into);
        }
    }
    let mut root = Arguments::command();
    root.build();
    let mut all = Vec::new();
    walk(&root, "", &mut all);
    all
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// What an argument is called: `--name <NAME>`, `<APPID>`.
fn called(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default();
    let value = values.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    let takes = arg.get_action().takes_values();
    match arg.get_long() {
        Some(long) if takes => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
        None => value,
    }
}

/// What an argument is, with its choices, default and variable.
fn described(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| arg.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !choices.is_empty() {
        let _ = write!(text, "; {}", choices.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        let _ = write!(text, "; default {}", defaults.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, "; also `{}`", variable.to_string_lossy());
    }
    cell(&text)
}

fn table_of(arguments: &[&Arg]) -> String {
    let mut table = String::from("| argument | |\n|---|---|\n");
    for arg in arguments {
        let needed = if arg.is_required_set() { " (needed)" } else { "" };
        let _ = writeln!(table, "| `{}`{needed} | {} |", cell(&called(arg)), described(arg));
    }
    table
}

fn the_command_line() -> String {
    let mut text = String::from(
        "# The command line\n\n[中文](zh/CLI.md) · [All documents](README.md)\n\n\
         Written by the program itself: every command with everything it takes. `hongyan help COMMAND` says the same in the terminal. \
         Results go to standard output, as tables or, with `--json`, for programs; what is wrong goes to standard error. Exit codes: 0 \
         done, 1 it failed, 2 the command line is wrong. Commands work beside a running `hongyan serve`. Secrets never need to stand on a \
         command line: they are read from standard input, a file or a variable.\n\n## What every command takes\n\n",
    );
    let root = Arguments::command();
    let global: Vec<&Arg> = root.get_arguments().filter(|arg| arg.is_global_set()).collect();
    text.push_str(&table_of(&global));
    text.push_str("\nThe language of the terminal decides that of the texts; `HONGYAN_LANG=zh` or `en` chooses another. `RUST_LOG` sets what is logged.\n");
    for (words, command) in commands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "\n## `hongyan {words}`\n\n{about}.\n");
        let own: Vec<&Arg> = command
            .get_arguments()
            .filter(|arg| {
                !arg.is_global_set()
                    && !arg.is_hide_set()
                    && !matches!(arg.get_id().as_str(), "help" | "version")
            })
            .collect();
        if !own.is_empty() {
            let _ = write!(text, "\n{}", table_of(&own));
        }
    }
    text
}

#[test]
fn the_reference_of_the_command_line_is_what_the_program_takes() {
    is_or_becomes("CLI.md", &the_command_line());
}

#[test]
fn the_chinese_reference_names_every_command() {
    let text = read("zh/CLI.md");
    let missing: Vec<String> = commands()
        .into_iter()
        .map(|(words, _)| format!("hongyan {words}"))
        .filter(|words| !text.lines().any(|line| line.starts_with(&format!("| `{words}"))))
        .collect();
    assert_eq!(missing, [""; 0], "docs/zh/CLI.md has no line for these");
}

/// Every `hongyan WORD` in a document is a command, and every option beside it is one of it or of all.
#[test]
fn no_document_names_a_command_that_is_not_there() {
    let mut wrong = Vec::new();
    let groups: Vec<String> = {
        let root = Arguments::command();
        root.get_subcommands().map(|sub| sub.get_name().to_owned()).collect()
    };
    let folder = path("");
    let files = [folder.clone(), folder.join("zh"), folder.join("..")];
    let files =
        files.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|end| end == "md")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, line) in text.lines().enumerate() {
            for (before, rest) in line.match_indices("hongyan ").map(|(at, _)| (&line[..at], &line[at + 8..]))
            {
                // In code only: in prose it is a name. Behind `-p` it is the package.
                if before.ends_with("-p ") {
                    continue;
                }
                if before.matches('`').count() % 2 == 0
                    && !before.trim_end().ends_with(['$', '/'])
                    && !before.trim().is_empty()
                {
                    continue;
                }
                let word =
                    rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap_or_default();
                if !word.is_empty()
                    && !word.starts_with('-')
                    && word != "help"
                    && !groups.iter().any(|group| group == word)
                {
                    wrong.push(format!("{}:{}: hongyan {word}", file.display(), at + 1));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// The keys of the file, with the value that stands for the default or an example.
fn keys() -> Vec<(String, String)> {
    let lines = DEFAULT_FILE.lines().filter_map(|line| line.strip_prefix("#: "));
    let pairs = lines.filter_map(|line| line.split_once(" = "));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// Each key has a line of the table that shows its default; each variable that the program reads is named.
#[test]
fn the_reference_of_the_configuration_is_what_the_program_reads() {
    let sources = [
        include_str!("config.rs"),
        include_str!("cli.rs"),
        include_str!("open.rs"),
        include_str!("locale.rs"),
    ];
    let mut variables: Vec<&str> = sources
        .iter()
        .flat_map(|source| source.split('"').filter(|word| word.starts_with("HONGYAN_")))
        .filter(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    variables.sort_unstable();
    variables.dedup();
    assert!(keys().len() > 5 && variables.len() > 5, "they are found");
    for document in ["CONFIG.md", "zh/CONFIG.md"] {
        let text = read(document);
        for (key, value) in keys() {
            let line = text.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
            let line = line.unwrap_or_else(|| panic!("docs/{document} has no line for {key}"));
            assert!(line.contains(&value), "docs/{document}: {key} does not show {value}");
        }
        for variable in &variables {
            assert!(text.contains(&format!("`{variable}`")), "docs/{document} does not name {variable}");
        }
        let known = keys();
        for line in text.lines().filter_map(|line| line.strip_prefix("| `")) {
            let (key, _) = line.split_once('`').unwrap();
            let ours =
                known.iter().any(|(name, _)| name == key) || key.starts_with("HONGYAN_") || key == "RUST_LOG";
            assert!(ours || key.contains(['.', ' ']), "docs/{document}: there is no setting {key}");
        }
    }
}

#[test]
fn every_setting_of_an_app_is_in_the_reference() {
    let settings = serde_json::to_value(service::Settings::default()).unwrap();
    for document in ["CONFIG.md", "zh/CONFIG.md"] {
        let text = read(document);
        for (name, value) in settings.as_object().unwrap() {
            let line = text.lines().find(|line| line.starts_with(&format!("| `app.{name}` |")));
            let line = line.unwrap_or_else(|| panic!("docs/{document} has no line for the setting {name}"));
            let shown = if value.is_number() || value.is_boolean() {
                value.to_string()
            } else {
                value.as_str().unwrap_or("|").to_owned()
            };
            assert!(line.contains(&shown), "docs/{document}: {name} does not show {shown}");
        }
    }
}

fn class_in_words(class: Class, lang: Lang) -> &'static str {
    let (zh, en) = match class {
        Class::Ok => ("成功", "it worked"),
        Class::RefreshToken => ("刷新凭证后重试一次", "the token is refreshed, then once more"),
        Class::Retry => ("稍后自动重试", "tried again soon"),
        Class::Ambiguous => ("稍后自动重试（可能已送达）", "tried again later (it may have been done)"),
        Class::Refused => ("无可用次数，不重试", "no usable grant; not tried again"),
        Class::Permanent => ("发送失败，不重试", "failed; not tried again"),
        Class::Configuration => {
            ("该小程序暂停发送，等待处理", "the app's sending stands still until it is mended")
        }
        Class::Quota => ("等到额度重置", "waits until the quota is reset"),
        Class::MinuteLimit => ("下一分钟继续", "goes on in the next minute"),
    };
    if lang == Lang::Zh { zh } else { en }
}

fn errcodes(lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    let mut text = String::from(if zh {
        "# 微信错误码（errcode）常见问题\n\n[English](../ERRCODES.md) · [全部文档](README.md)\n\n\
         本页由程序里的错误码表生成，与控制台、接口和日志里看到的说明一致。先找到错误码，再看“怎么办”。\
         没有列出的错误码按“发送失败，不重试”处理，原文（含 rid）保留在消息详情里；rid 在 7 天内可以在消息页面向微信查询。\n\n\
         “自动处理”是对发送接口而言；获取 access_token 时，40001 表示 AppSecret 错误。\n\n"
    } else {
        "# WeChat's errcodes: what they mean, what to do\n\n[中文](zh/ERRCODES.md) · [All documents](README.md)\n\n\
         Written by the program from its own catalogue: the console, the interface and the log say the same. A code that is not here is \
         treated as failed and not tried again; WeChat's text with its rid stays with the message, where the rid can be looked up at \
         WeChat for seven days.\n\n\
         What happens by itself is said for the send call; of the token calls, 40001 means a wrong AppSecret.\n\n"
    });
    text.push_str(if zh {
        "| errcode | 含义 | 怎么办 | 自动处理 |\n|---|---|---|---|\n"
    } else {
        "| errcode | means | what to do | by itself |\n|---|---|---|---|\n"
    });
    let mut entries: Vec<&Entry> = catalogue().collect();
    entries.sort_by_key(|entry| entry.code);
    for entry in entries {
        let (meaning, remedy) = (cell(entry.meaning(lang)), cell(entry.remedy(lang)));
        let _ = writeln!(
            text,
            "| {} | {meaning} | {remedy} | {} |",
            entry.code,
            class_in_words(entry.class, lang)
        );
    }
    text
}

#[test]
fn the_errcodes_are_those_of_the_catalogue() {
    is_or_becomes("ERRCODES.md", &errcodes(Lang::En));
    is_or_becomes("zh/ERRCODES.md", &errcodes(Lang::Zh));
}

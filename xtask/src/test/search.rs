//! The places where PostgreSQL, browsers and fonts lie on the usual systems. Used by `machine`.

use std::path::{Path, PathBuf};

/// Folders that may hold `initdb` and `postgres`, the best first: what was named, then PATH, then the systems' own
/// places (which are not in PATH), newest version first.
pub(super) fn postgres_folders() -> Vec<PathBuf> {
    let named = std::env::var_os("HONGYAN_TEST_PG_BIN").map(PathBuf::from);
    // Through links to the real place: initdb looks for its share folder beside itself.
    let in_path = in_path("initdb").and_then(|path| Some(path.canonicalize().ok()?.parent()?.to_owned()));
    let mut folders: Vec<PathBuf> = named.into_iter().chain(in_path).collect();
    let debian = children("/usr/lib/postgresql", "");
    let fedora = children("/usr", "pgsql-");
    let brew =
        ["/opt/homebrew/opt", "/usr/local/opt"].iter().flat_map(|folder| children(folder, "postgresql"));
    let mut rest: Vec<PathBuf> =
        debian.into_iter().chain(fedora).chain(brew).map(|path| path.join("bin")).collect();
    rest.sort_by_key(|path| std::cmp::Reverse(number_in(path)));
    folders.extend(rest);
    folders
}

/// Browsers that may be there, the best first.
pub(super) fn browsers() -> Vec<PathBuf> {
    let named = std::env::var_os("HONGYAN_TEST_CHROMIUM").map(PathBuf::from);
    let usual = ["/usr/bin/chromium", "/snap/bin/chromium"].map(PathBuf::from);
    let names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    let apps = ["Chromium.app/Contents/MacOS/Chromium", "Google Chrome.app/Contents/MacOS/Google Chrome"];
    let mut browsers: Vec<PathBuf> = named.into_iter().chain(usual).collect();
    browsers.extend(names.iter().filter_map(|name| in_path(name)));
    browsers.extend(apps.iter().map(|app| Path::new("/Applications").join(app)));
    let mut seen = Vec::new();
    browsers.retain(|path| {
        let new = path.is_file() && !seen.contains(path);
        seen.push(path.clone());
        new
    });
    browsers
}

/// Pythons that may do: that of PATH, then the system's own, which has what the system's packages bring.
pub(super) fn pythons() -> Vec<PathBuf> {
    let system = Some(PathBuf::from("/usr/bin/python3")).filter(|path| path.is_file());
    let mut pythons: Vec<PathBuf> = in_path("python3").into_iter().chain(system).collect();
    pythons.dedup();
    pythons
}

/// Some font with Chinese characters: without one, a browser draws boxes and lines break elsewhere.
pub(super) fn cjk_font() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let own = [home.join(".local/share/fonts"), home.join(".fonts")];
    let shared = ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts"].map(PathBuf::from);
    shared.iter().chain(&own).find_map(|folder| find_below(folder, &|name| is_cjk_font(name)))
}

fn is_cjk_font(name: &str) -> bool {
    let font = [".ttf", ".ttc", ".otf"].iter().any(|end| name.ends_with(end));
    let words = [
        "CJK",
        "NotoSansSC",
        "SourceHanSans",
        "wqy-",
        "PingFang",
        "Hiragino",
        "STHeiti",
        "DroidSansFallback",
    ];
    font && words.iter().any(|word| name.contains(word))
}

/// The program that a shell would start.
pub(super) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A server's program: they lie in folders that are only in root's PATH.
pub(super) fn server(name: &str) -> Option<PathBuf> {
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(|folder| Path::new(folder).join(name));
    in_path(name).or_else(|| usual.into_iter().find(|path| path.is_file()))
}

fn children(folder: &str, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}

fn find_below(folder: &Path, fits: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let name_fits = |path: &&PathBuf| path.file_name().is_some_and(|name| fits(&name.to_string_lossy()));
    let here = entries.iter().find(name_fits).cloned();
    here.or_else(|| {
        entries
            .iter()
            .filter(|path| path.is_dir() && !path.is_symlink())
            .find_map(|path| find_below(path, fits))
    })
}

/// The library that shows a process another time.
pub(super) fn faketime() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    folders
        .iter()
        .map(|folder| Path::new(folder).join("faketime/libfaketime.so.1"))
        .find(|path| path.exists())
}

/// The version in a path as `/usr/lib/postgresql/15/bin`.
fn number_in(path: &Path) -> u32 {
    let text = path.to_string_lossy();
    let digits = text.split(|c: char| !c.is_ascii_digit()).rfind(|part| !part.is_empty());
    digits.and_then(|part| part.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_come_first_by_number_not_by_letter() {
        assert!(
            number_in(Path::new("/usr/lib/postgresql/15/bin"))
                > number_in(Path::new("/usr/lib/postgresql/9/bin"))
        );
        assert_eq!(number_in(Path::new("/usr/pgsql-16/bin")), 16);
        assert_eq!(number_in(Path::new("/opt/homebrew/opt/postgresql@17/bin")), 17);
    }

    #[test]
    fn fonts_are_told_by_their_names() {
        assert!(is_cjk_font("NotoSansCJK-Regular.ttc") && is_cjk_font("wqy-zenhei.ttc"));
        assert!(!is_cjk_font("NotoSans-Regular.ttf") && !is_cjk_font("NotoSansCJK.txt"));
    }
}

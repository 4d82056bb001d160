//! Which database the tests serve from: a file each; with `HONGYAN_TEST_ENGINE=postgres` a database each, in one throw-away
//! PostgreSQL.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use store::testing::TempPostgres;

/// Whether these tests run on PostgreSQL.
pub(crate) fn is_postgres() -> bool {
    std::env::var("HONGYAN_TEST_ENGINE").is_ok_and(|engine| engine == "postgres")
}

/// The URL of the database that belongs to a directory, made when it is first asked for.
pub(crate) fn url(directory: &Path) -> String {
    static MADE: OnceLock<Mutex<HashMap<PathBuf, String>>> = OnceLock::new();
    if !is_postgres() {
        return format!("sqlite:{}", directory.join("hongyan.db").display());
    }
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(directory.to_owned())
        .or_insert_with(|| {
            let server = TempPostgres::shared("HONGYAN_TEST_ENGINE=postgres").unwrap();
            server.fresh_database().unwrap()
        })
        .clone()
}

/// Everything that the database of a directory holds, as text.
pub(crate) fn dump(directory: &Path) -> String {
    let server = TempPostgres::shared("HONGYAN_TEST_ENGINE=postgres").unwrap();
    server.dump(&url(directory)).unwrap()
}

/// Says that a test looks at the file itself, and is not run on another engine.
pub(crate) fn only_a_file() -> bool {
    is_postgres()
}

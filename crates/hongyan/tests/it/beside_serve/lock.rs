//! A second server on the same file is refused, by whatever path; what a killed one left is free; a stopped one leaves one
//! file.

use std::path::Path;

use super::{Serve, file, ready};
use crate::program::{Server, free_address, hongyan, ok, run};
use crate::world::until;

/// A second server with these arguments: refused, in both languages.
fn refused(directory: &Path, arguments: &[&str]) {
    let listen = free_address();
    let arguments = [&["serve", "--listen", &listen], arguments].concat();
    let output = hongyan(directory).args(&arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
    assert!(text.contains("already serving this database"), "{arguments:?}: {text}");
    assert!(text.contains("已有另一个 hongyan 正在使用该数据库"), "{arguments:?}: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_is_refused_by_whatever_path() {
    if crate::database::only_a_file() {
        return;
    }
    let mut serve = Serve::start().await;
    let (path, elsewhere) = (serve.directory.path().to_owned(), tempfile::tempdir().unwrap());
    refused(&path, &[]);
    refused(&path, &["--database-url", "sqlite:hongyan.db"]);
    let relative = format!("sqlite:../{}/hongyan.db", path.file_name().unwrap().to_str().unwrap());
    refused(&path, &["--database-url", &relative]);
    #[cfg(unix)]
    {
        let link = elsewhere.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        refused(&path, &["--data-dir", link.to_str().unwrap()]);
        let database = elsewhere.path().join("other.db");
        std::os::unix::fs::symlink(file(&path, "hongyan.db"), &database).unwrap();
        refused(&path, &["--database-url", &format!("sqlite:{}", database.display())]);
        let hard = path.join("hard.db");
        std::fs::hard_link(file(&path, "hongyan.db"), &hard).unwrap();
        let second = run(&path, &["serve", "--database-url", "sqlite:hard.db", "--listen", &free_address()]);
        let text = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(1), "{text}");
        assert!(text.contains("hard link") && text.contains("硬链接"), "{text}");
        std::fs::remove_file(hard).unwrap();
    }
    assert!(ready(&serve.address).await.is_some(), "the first one goes on");

    // A command that waits for its message does not take the place of a server that is there.
    serve.server.kill();
    let address = free_address();
    let mut next = Server::start(&path, &address);
    until("the next server", || ready(&address)).await;
    refused(&path, &[]);
    next.kill();
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_folds_the_log_back_and_so_does_a_command_alone() {
    if crate::database::only_a_file() {
        return;
    }
    let mut serve = Serve::start().await;
    let log = file(serve.path(), "hongyan.db-wal");
    assert!(log.exists(), "while it serves, there is a log");
    assert!(serve.server.stop(), "{}", serve.log());
    assert!(!log.exists(), "the database is one file");
    assert!(!file(serve.path(), "hongyan.db-shm").exists());
    ok(serve.path(), &["app", "list"]);
    ok(serve.path(), &["key", "create", "--name", "alone", "--all-apps", "--scope", "read"]);
    assert!(!log.exists());
    assert!(!run(serve.path(), &["key", "revoke", "4711"]).status.success());
    assert!(!log.exists(), "also where it failed");
}

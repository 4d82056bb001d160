//! Why a backup was not made, or not put back; the text says what to do, in English and Chinese.

use std::path::Path;

use crate::error::{OpenError, StoreError};

/// Why a backup was not made, or not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has its own means.
    #[error(
        "this is for the embedded database. Back PostgreSQL up with its own tools (pg_dump, or base backups with WAL for a restore to any \
         moment); after putting one back, give `hongyan restore --done-to TIME` before anything is served. docs/DATA.md has the steps. \
         该命令只用于内置数据库。PostgreSQL 请用它自己的工具备份（pg_dump，或基础备份加 WAL 归档）；恢复后、启动服务前执行 \
         hongyan restore --done-to 时间。步骤见 docs/zh/DATA.md。"
    )]
    Postgres,
    /// There is nothing to copy.
    #[error("there is no file {0}. 没有这个文件：{0}。")]
    Missing(String),
    /// The copy would take the database's place.
    #[error("{0} is a database in use; choose another file. {0} 是正在使用的数据库，请换一个文件名。")]
    Itself(String),
    /// Something stands there already.
    #[error(
        "{0} exists already; choose another name, or give --force. {0} 已存在：请换一个文件名，或加 --force。"
    )]
    Exists(String),
    /// A name that SQLite cannot be told.
    #[error("the name {0} is not UTF-8. 文件名 {0} 不是 UTF-8 编码。")]
    Name(String),
    /// A file that somebody works on cannot be taken for a backup.
    #[error(
        "{0} has a log (-wal) beside it: it is a database that was not closed, and no backup. Take one with `hongyan backup` \
         (--database-url sqlite:{0}). {0} 旁边有 -wal 文件：它是未正常关闭的数据库而不是备份，请先用 hongyan backup 备份它。"
    )]
    Live(String),
    /// Not a database of this program.
    #[error("{0} is no backup of hongyan: {1}. {0} 不是鸿雁的备份：{1}。")]
    NotOurs(String, String),
    /// Made by a later version.
    #[error(
        "{file} was made by a later version of hongyan (migration {version}; this one knows up to {known}). Use that version. \
         {file} 由更新的版本生成，请使用对应版本的程序。"
    )]
    Newer {
        /// The backup.
        file: String,
        /// Its migration.
        version: i64,
        /// The last one known here.
        known: i64,
    },
    /// It is damaged, or its accounts do not close.
    #[error(
        "{file} did not pass the check: {found}. Use another backup. {file} 没有通过校验（{found}），请改用其他备份。"
    )]
    Damaged {
        /// The file.
        file: String,
        /// What was found.
        found: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}. 文件读写失败：{path}。")]
    File {
        /// Which.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The database that is written into.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SQLite.
    #[error("SQLite: {0}. 数据库报错。")]
    Sqlite(#[from] sqlx::Error),
}

impl BackupError {
    pub(super) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}

//! What can go wrong in the store, told apart by what a caller does about it.

use std::sync::Arc;

/// An error of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database did not take the statement now: try again, answer 503.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<sqlx::Error>),
    /// A name or id that must be unique stands already.
    #[error("it exists already: {0}")]
    Exists(&'static str),
    /// A stored secret cannot be opened: the database was copied, or a value was altered.
    #[error("a stored secret ({0}) cannot be opened with the master key")]
    Sealed(String),
    /// What is stored is not what the program writes.
    #[error("the database holds something unreadable in {0}")]
    Corrupt(&'static str),
}

impl StoreError {
    /// Whether the same may succeed in a moment: the database is away, or somebody else was in the way.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(error) if crate::postgres::fault::is_transient(error))
    }

    /// Whether the database answered with something that the program does not write: the same will not succeed, what else is asked may.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Sealed(_) | Self::Corrupt(_) => true,
            Self::Unavailable(error) => {
                matches!(&**error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. })
            }
            Self::Exists(_) => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

/// Why a database could not be opened. The text says what to do, in English and Chinese.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The master key is another than the one that the secrets are sealed with.
    #[error(
        "the master key does not belong to this database (it was made with key {expected}, the given key is {given}). \
         Give the right HONGYAN_MASTER_KEY, or put the old master.key back into the data directory. \
         主密钥与数据库不符：请提供原来的 HONGYAN_MASTER_KEY，或把原来的 master.key 放回数据目录。"
    )]
    WrongMasterKey {
        /// Id of the key that sealed the secrets.
        expected: String,
        /// Id of the key that was given.
        given: String,
    },
    /// A change of the master key was begun and not ended.
    #[error(
        "the master key of this database is being changed (to key {next}). If the change broke off, end it by giving the same \
         `hongyan master-key change` again, then serve. \
         正在更换该数据库的主密钥（新密钥 {next}）。如更换曾中断，请再次执行同一条 hongyan master-key change 命令，完成后再启动。"
    )]
    ChangingMasterKey {
        /// Id of the key that it is changed to.
        next: String,
    },
    /// Another worker serves this file.
    #[error(
        "another hongyan is already serving this database ({0}). Stop it first; other commands may run beside it. \
         已有另一个 hongyan 正在使用该数据库，请先停止它；其他命令可以同时运行。"
    )]
    InUse(String),
    /// The file has a second name.
    #[error(
        "the database file {0} has a second name (hard link); through two names it would be corrupted. Remove the other \
         name, or make a copy instead. 数据库文件 {0} 存在硬链接，经两个文件名使用会损坏数据；请删除另一个文件名，或改用复制。"
    )]
    HardLinked(String),
    /// The SQLite library is one that can corrupt a WAL with two connections.
    #[error("SQLite {0} is too old: 3.51.3 or later is needed. SQLite 版本过旧，需要 3.51.3 或更高。")]
    OldSqlite(String),
    /// The server is one that nothing was tried on.
    #[error("PostgreSQL {0} is too old: 14 or later is needed. PostgreSQL 版本过旧，需要 14 或更高。")]
    OldPostgres(u32),
    /// A copy into it was begun and not ended.
    #[error(
        "a copy into this database is not finished; end it by giving the same `hongyan copy` again, then serve. \
         向该数据库的复制尚未完成：请再次执行同一条 hongyan copy 命令，完成后再启动。"
    )]
    Copying,
    /// The URL names an engine that this version does not serve.
    #[error(
        "database_url must be sqlite:PATH or postgres://…, not {0}. \
         database_url 只支持 sqlite:路径 或 postgres://…。"
    )]
    Unsupported(String),
    /// The file or its directory cannot be used.
    #[error("the database file {path} cannot be used: {source}. 无法使用数据库文件 {path}。")]
    File {
        /// Which file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A newer program has migrated it.
    #[error(
        "the database is of a newer version than this program (it has migration {0}): use the newer program, or go back by the \
         backup of before its upgrade. 数据库的版本比本程序新（含迁移 {0}）：请使用新版程序，或用升级前的备份回退。"
    )]
    Newer(i64),
    /// A migration failed.
    #[error("migrating the database failed: {0}. 数据库迁移失败。")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database refused.
    #[error("the database cannot be opened: {0}. 无法打开数据库。")]
    Database(#[from] sqlx::Error),
    /// Anything the running store reports.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::migrate::MigrateError> for OpenError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => Self::Newer(version),
            error => Self::Migrate(error),
        }
    }
}

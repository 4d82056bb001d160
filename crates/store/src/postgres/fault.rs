//! What PostgreSQL, or the way to it, can answer instead of doing what it was asked.

use sqlx::Error;

/// Whether the connection is of no use any more: it is closed rather than given back, so that the next one is a new one,
/// to whichever server is the primary then.
pub(crate) fn is_lost(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => true,
        Error::Database(error) => error.code().is_some_and(|code| {
            // admin_shutdown, crash_shutdown, cannot_connect_now, read_only_sql_transaction (a standby, or a primary that is
            // one no more), idle_in_transaction_session_timeout, and class 08.
            matches!(&*code, "57P01" | "57P02" | "57P03" | "25006" | "25P03" | "25P04")
                || code.starts_with("08")
        }),
        _ => false,
    }
}

/// Whether the same may succeed in a moment.
pub(crate) fn is_transient(error: &Error) -> bool {
    match error {
        Error::PoolTimedOut => true,
        Error::Database(database) => {
            is_lost(error)
                || database.code().is_some_and(|code| {
                    // serialization_failure, deadlock_detected, too_many_connections, lock_not_available, query_canceled,
                    // and the fence (division_by_zero): somebody took the lane over, which the next try reads.
                    matches!(&*code, "40001" | "40P01" | "53300" | "55P03" | "57014" | "22012")
                })
        }
        _ => is_lost(error),
    }
}

/// Nothing was answered in time.
pub(crate) fn silent() -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database did not answer in time"))
}

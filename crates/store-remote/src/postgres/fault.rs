//! What can go wrong with a database, in two words: it is not there, or it
//! says no.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostgresError {
    /// It cannot be asked now, so nothing was done.
    #[error("the database cannot be used: {0}")]
    Unasked(String),
    /// It was lost on the way, or did not answer in time. Whether what was
    /// asked was done is not known.
    #[error("the database cannot be used: {0}")]
    Unavailable(String),
    /// It answered that it does not do that. Nothing was changed.
    #[error("the database refuses: {why}")]
    Refused {
        /// The five characters of the SQL standard.
        state: String,
        /// Its words.
        why: String,
    },
}

/// States that pass: the server ends or starts, has no room, only reads, or
/// took too long.
const PASSING: [SqlState; 10] = [
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::TOO_MANY_CONNECTIONS,
    SqlState::QUERY_CANCELED,
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::READ_ONLY_SQL_TRANSACTION,
    SqlState::DISK_FULL,
    SqlState::OUT_OF_MEMORY,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
];

/// States of a call that waited for others or took too long: the server is
/// well.
const OF_ONE_CALL: [SqlState; 2] = [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE];

/// Whether an error is of one call alone, and says nothing about the server.
pub(super) fn is_of_one_call(error: &Error) -> bool {
    let told = error.as_db_error();
    told.is_some_and(|told| OF_ONE_CALL.contains(told.code()))
}

impl PostgresError {
    /// What the client says, in these words.
    pub(super) fn of(error: &Error) -> Self {
        match error.as_db_error() {
            Some(told) if !PASSING.contains(told.code()) => Self::Refused {
                state: told.code().code().to_owned(),
                why: words(error),
            },
            Some(_) | None => Self::Unavailable(words(error)),
        }
    }
}

/// An error and what it comes from.
pub(super) fn words(error: &Error) -> String {
    if let Some(told) = error.as_db_error() {
        return told.message().to_owned();
    }
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words.push_str(": ");
            words.push_str(&cause_words);
        }
        source = cause.source();
    }
    words
}

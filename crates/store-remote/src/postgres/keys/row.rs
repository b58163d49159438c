//! A key as a row of PostgreSQL.
//!
//! Deliberately not here: statements.

use store::keys::text;
use store::{KeyRow, KeysError, OnRevoke};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

/// All columns, in the order of the table.
pub(super) const COLUMNS: &str = "number, id, change, name, tenant, app, groups, models, \
                                  on_revoke, created_us, created_by, expires_us, rotated_us, \
                                  revoked_us, revoked_by, last_used_us, secrets, limits";

/// PostgreSQL counts with a sign.
pub(super) fn within(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A text of PostgreSQL cannot hold U+0000, so it is written `\0`, and `\` is
/// written twice. No two texts are written alike.
pub(super) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\0', "\\0")
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                '0' => '\0',
                _ => return None,
            },
            c => c,
        });
    }
    Some(plain)
}

/// A key again. Nothing that no gateway wrote is guessed at.
pub(super) fn read(row: &Row) -> Result<KeyRow, KeysError> {
    Ok(KeyRow {
        number: number(row, "number")?,
        id: plain(row, "id")?,
        change: number(row, "change")?,
        name: plain(row, "name")?,
        tenant: plain(row, "tenant")?,
        app: plain(row, "app")?,
        groups: text::list(get(row, "groups")?).ok_or_else(|| strange("groups"))?,
        models: get::<Option<&str>>(row, "models")?
            .map(|models| text::list(models).ok_or_else(|| strange("models")))
            .transpose()?,
        on_revoke: OnRevoke::of(get(row, "on_revoke")?).ok_or_else(|| strange("on_revoke"))?,
        created_us: number(row, "created_us")?,
        created_by: plain(row, "created_by")?,
        expires_us: time(row, "expires_us")?,
        rotated_us: time(row, "rotated_us")?,
        revoked_us: time(row, "revoked_us")?,
        revoked_by: get::<Option<&str>>(row, "revoked_by")?
            .map(|text| unescape(text).ok_or_else(|| strange("revoked_by")))
            .transpose()?,
        last_used_us: time(row, "last_used_us")?,
        secrets: text::secrets(get(row, "secrets")?).ok_or_else(|| strange("secrets"))?,
        limits: get::<Option<&str>>(row, "limits")?
            .map(|text| unescape(text).ok_or_else(|| strange("limits")))
            .transpose()?,
    })
}

fn get<'r, T: FromSql<'r>>(row: &'r Row, column: &str) -> Result<T, KeysError> {
    row.try_get(column).map_err(|_| strange(column))
}

fn plain(row: &Row, column: &str) -> Result<String, KeysError> {
    unescape(get(row, column)?).ok_or_else(|| strange(column))
}

fn number(row: &Row, column: &str) -> Result<u64, KeysError> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| strange(column))
}

fn time(row: &Row, column: &str) -> Result<Option<u64>, KeysError> {
    get::<Option<i64>>(row, column)?
        .map(|us| u64::try_from(us).map_err(|_| strange(column)))
        .transpose()
}

/// A column that this gateway did not write so.
fn strange(column: &str) -> KeysError {
    KeysError::Foreign(format!(
        "the column {column} of a key in the database holds what no gateway writes"
    ))
}

#[cfg(test)]
mod tests {
    //! Cases of texts.

    use super::*;

    #[test]
    fn no_two_texts_are_written_alike_and_each_is_read_again() {
        let texts = ["", "a\0b", "a\\0b", "\\", "\\\\", "\\\0", "日本\u{202e}"];
        for text in texts {
            let written = escape(text);
            assert!(!written.contains('\0'));
            assert_eq!(unescape(&written).as_deref(), Some(text));
            let alike = texts.iter().filter(|other| escape(other) == written);
            assert_eq!(alike.count(), 1, "{text:?}");
        }
        for wrong in ["\\", "a\\b"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }
}

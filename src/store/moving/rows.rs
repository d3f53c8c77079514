//! Tables, and their rows as both databases hold them.

use std::borrow::Cow;

use postgres::types::Type;
use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

use super::MoveError;
use crate::store::sql::{Value, without_zeros};

/// What is not moved, as a condition for what is.
const STAYS: [(&str, &str); 7] = [
    // Each database has texts of its own, and knows what was applied to it.
    ("migrations", "false"),
    // Who works with the file, and who leads there.
    ("nodes", "false"),
    ("leases", "false"),
    // Who has mistyped a password just now.
    ("sign_ins", "false"),
    // Who writes to a ticket outside just now.
    ("ticket_writers", "false"),
    // Which database it is, who may use it, and that it was moved.
    (
        "marks",
        "substr(name, 1, 9) <> 'identity/' AND substr(name, 1, 7) <> 'schema/' AND substr(name, 1, 6) <> 'moved/'",
    ),
    // The file counts deliveries by their numbers, the server by a tally.
    ("tallies", "name <> 'deliveries'"),
];

/// A table of the source.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// Tables that its rows refer to.
    pub(super) refers_to: Vec<String>,
}

/// A column, and what it holds in the target.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Type,
}

impl Table {
    /// Whether none of its rows are moved.
    pub(super) fn stays(name: &str) -> bool {
        STAYS.contains(&(name, "false"))
    }

    /// Its columns, for both databases.
    pub(super) fn list(&self) -> String {
        self.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// What is read of it, on both sides.
    pub(super) fn select(&self) -> String {
        format!("SELECT {} {}", self.list(), self.from())
    }

    /// Where that is read.
    pub(super) fn from(&self) -> String {
        from(&self.name)
    }

    pub(super) fn kinds(&self) -> Vec<Type> {
        self.columns.iter().map(|column| column.kind.clone()).collect()
    }

    /// A row of the source, as the target can hold it, and how many texts had to
    /// be changed for that.
    pub(super) fn read<'r>(&self, row: &'r rusqlite::Row<'_>) -> Result<(Vec<Value<'r>>, u64), MoveError> {
        let mut replaced = 0;
        let mut values = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            values.push(match row.get_ref(index)? {
                ValueRef::Null => Value::Null(column.kind.clone()),
                ValueRef::Integer(number) => Value::Int(number),
                ValueRef::Real(number) => Value::Real(number),
                ValueRef::Blob(bytes) => Value::Blob(bytes),
                ValueRef::Text(bytes) => {
                    let text = as_text(bytes);
                    replaced += u64::from(matches!(text, Cow::Owned(_)));
                    Value::Text(text)
                }
            });
        }
        Ok((values, replaced))
    }
}

/// Of a table what is moved.
pub(super) fn from(table: &str) -> String {
    let moved = STAYS.iter().find(|(name, _)| *name == table).map_or("true", |(_, moved)| moved);
    format!("FROM {} WHERE {moved}", quoted(table))
}

/// What PostgreSQL has no text for becomes U+FFFD.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => without_zeros(text),
        Cow::Owned(text) => Cow::Owned(without_zeros(&text).into_owned()),
    }
}

/// A name in both databases.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// How many rows there are, and the sum of their digests: the same for the same
/// rows, in whatever order they are read, so that nobody has to sort them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) rows: u64,
    digest: [u64; 4],
}

impl Tally {
    /// Adds a row. Each value goes in with its type and its length.
    pub(super) fn add(&mut self, row: &[Value<'_>]) {
        let mut hash = Sha256::new();
        for value in row {
            match value {
                Value::Int(number) => part(&mut hash, b'i', &number.to_be_bytes()),
                Value::Real(number) => part(&mut hash, b'r', &number.to_bits().to_be_bytes()),
                Value::Text(text) => part(&mut hash, b't', text.as_bytes()),
                Value::Blob(bytes) => part(&mut hash, b'b', bytes),
                // The others are no columns.
                _ => part(&mut hash, b'n', &[]),
            }
        }
        self.rows += 1;
        for (sum, eight) in self.digest.iter_mut().zip(hash.finalize().as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*eight));
        }
    }
}

fn part(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(rows: &[&[Value<'_>]]) -> Tally {
        let mut tally = Tally::default();
        rows.iter().for_each(|row| tally.add(row));
        tally
    }

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.into())
    }

    #[test]
    fn the_same_rows_in_another_order_are_the_same() {
        let (a, b) = ([Value::Int(1), text("a")], [Value::Int(2), text("b")]);
        assert_eq!(tally(&[&a, &b]), tally(&[&b, &a]));
    }

    #[test]
    fn a_row_that_is_missing_twice_there_or_another_is_found() {
        let (a, b) = ([Value::Int(1), text("a")], [Value::Int(2), text("b")]);
        let whole = tally(&[&a, &b]);
        assert_ne!(tally(&[&a]), whole);
        assert_ne!(tally(&[&a, &a]), whole);
        assert_ne!(tally(&[&a, &a, &b, &b]), tally(&[&a, &a, &a, &b]));
    }

    #[test]
    fn values_do_not_flow_into_each_other() {
        assert_ne!(tally(&[&[text("ab"), text("c")]]), tally(&[&[text("a"), text("bc")]]));
        assert_ne!(tally(&[&[Value::Null(Type::TEXT)]]), tally(&[&[text("")]]));
        assert_ne!(tally(&[&[text("a")]]), tally(&[&[Value::Blob(b"a")]]));
    }

    #[test]
    fn only_what_postgresql_has_no_text_for_is_replaced() {
        assert!(matches!(as_text("ä\t\\".as_bytes()), Cow::Borrowed("ä\t\\")));
        assert_eq!(as_text(b"a\0b"), "a\u{fffd}b");
        assert_eq!(as_text(b"a\xffb\0"), "a\u{fffd}b\u{fffd}");
    }
}

//! Both databases have the same tables: migrations of the same names, and after
//! them the same columns and the same keys.

use std::collections::BTreeSet;
use std::path::Path;

use frontdesk::store::SCHEMA_VERSION;
use rusqlite::Connection;

use crate::support::postgres::Database;

/// A column as `(table, column, type, nullable)`, the type in PostgreSQL's words.
type Column = (String, String, String, bool);

/// An index, or a key, as `(table, columns in their order, unique, partial)`. An
/// expression is called just that.
type Index = (String, String, bool, bool);

/// What a database can hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shape {
    columns: BTreeSet<Column>,
    indexes: BTreeSet<Index>,
}

impl Shape {
    /// The indexes without a row's own number at the end of one that is not unique: SQLite has
    /// it there anyway, in PostgreSQL it is written out.
    fn indexes_alike(&self) -> BTreeSet<Index> {
        let is_number = |table: &str, column: &str| {
            self.indexes.contains(&(table.to_owned(), column.to_owned(), true, false))
                && self.columns.contains(&(table.to_owned(), column.to_owned(), "bigint".to_owned(), false))
        };
        let alike = |(table, columns, unique, partial): Index| match columns.rsplit_once(", ") {
            Some((rest, last)) if !unique && is_number(&table, last) => (table, rest.to_owned(), unique, partial),
            _ => (table, columns, unique, partial),
        };
        self.indexes.iter().cloned().map(alike).collect()
    }
}

/// What one of the two has and the other has not; nothing when they are the same.
fn differences(sqlite: &Shape, postgres: &Shape) -> Vec<String> {
    fn only<T: Ord + std::fmt::Debug>(here: &BTreeSet<T>, there: &BTreeSet<T>, name: &str) -> Vec<String> {
        here.difference(there).map(|one| format!("only {name}: {one:?}")).collect()
    }
    [
        only(&sqlite.columns, &postgres.columns, "SQLite"),
        only(&postgres.columns, &sqlite.columns, "PostgreSQL"),
        only(&sqlite.indexes_alike(), &postgres.indexes_alike(), "SQLite"),
        only(&postgres.indexes_alike(), &sqlite.indexes_alike(), "PostgreSQL"),
    ]
    .concat()
}

/// The shape that all migrations together give a SQLite database.
fn of_sqlite() -> Shape {
    let sql = Connection::open_in_memory().unwrap();
    for (_, text) in migrations("sqlite") {
        sql.execute_batch(&text).unwrap();
    }
    let columns = "SELECT m.name, c.name,
            CASE c.type WHEN 'INTEGER' THEN 'bigint' WHEN 'TEXT' THEN 'text' WHEN 'BLOB' THEN 'bytea' WHEN 'REAL' THEN 'double precision' END,
            c.\"notnull\" = 0 AND c.pk = 0
       FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'";
    // A key that is the row's own number has no index there.
    let indexes =
        "SELECT m.name, (SELECT group_concat(coalesce(k.name, '(expression)'), ', ') FROM pragma_index_info(i.name) k),
            i.\"unique\", i.partial
       FROM sqlite_schema m JOIN pragma_index_list(m.name) i WHERE m.type = 'table'
     UNION SELECT m.name, c.name, 1, 0 FROM sqlite_schema m JOIN pragma_table_info(m.name) c
      WHERE m.type = 'table' AND c.pk = 1 AND c.type = 'INTEGER' AND m.sql NOT LIKE '%PRIMARY KEY (%'";
    Shape {
        columns: sql.prepare(columns).unwrap().query_map([], column).unwrap().map(Result::unwrap).collect(),
        indexes: sql.prepare(indexes).unwrap().query_map([], index).unwrap().map(Result::unwrap).collect(),
    }
}

/// The shape that all migrations together give a PostgreSQL database.
fn of_postgres() -> Shape {
    let columns = "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES'
       FROM information_schema.columns WHERE table_schema = current_schema()";
    let indexes =
        "SELECT t.relname::text, string_agg(coalesce(a.attname::text, '(expression)'), ', ' ORDER BY k.place),
            i.indisunique, i.indpred IS NOT NULL
       FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
       CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
       LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
      WHERE t.relnamespace = current_schema()::regnamespace
      GROUP BY i.indexrelid, t.relname, i.indisunique, i.indpred IS NOT NULL";
    Database::empty().ask(|client| {
        for (_, text) in migrations("postgres") {
            client.batch_execute(&text).unwrap();
        }
        let columns = client.query(columns, &[]).unwrap();
        let indexes = client.query(indexes, &[]).unwrap();
        Shape {
            columns: columns.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect(),
            indexes: indexes.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect(),
        }
    })
}

fn column(row: &rusqlite::Row<'_>) -> rusqlite::Result<Column> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn index(row: &rusqlite::Row<'_>) -> rusqlite::Result<Index> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

/// The migrations that lie there for an engine, in order: file name and text.
fn migrations(engine: &str) -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let mut files: Vec<(String, String)> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn both_databases_have_migrations_of_the_same_numbers_and_names() {
    let names = |engine| migrations(engine).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let of_sqlite = names("sqlite");
    assert_eq!(of_sqlite, names("postgres"));
    let numbers: Vec<i64> = of_sqlite.iter().map(|name| name.split_once('_').unwrap().0.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=SCHEMA_VERSION).collect::<Vec<_>>(), "every file is a migration that is applied");
}

#[test]
fn both_databases_have_the_same_columns_and_keys() {
    assert_eq!(differences(&of_sqlite(), &of_postgres()), Vec::<String>::new());
}

#[test]
fn a_column_or_a_key_that_only_one_of_them_has_is_a_difference() {
    let one = of_sqlite();
    assert_eq!(differences(&one, &one), Vec::<String>::new());
    let text = str::to_owned;
    for there in [
        (text("submissions"), text("polls"), text("bigint"), false),
        (text("submissions"), text("id"), text("text"), false),
        (text("feedback"), text("distance"), text("double precision"), true),
        (text("deliveries"), text("body"), text("bytea"), true),
    ] {
        let mut other = one.clone();
        assert!(other.columns.remove(&there), "{there:?}");
        assert_eq!(differences(&one, &other), [format!("only SQLite: {there:?}")]);
        other.columns.insert((there.0, there.1, there.2, !there.3));
        assert_eq!(differences(&one, &other).len(), 2, "one that may be null is another one");
    }
    for there in [
        (text("tallies"), text("name, shard"), true, false),
        (text("submissions"), text("resource_id, project"), true, true),
        (text("batch_lines"), text("batch_id, (expression), number"), false, false),
    ] {
        let mut other = one.clone();
        assert!(other.indexes.remove(&there), "{there:?}");
        assert_eq!(differences(&other, &one), [format!("only PostgreSQL: {there:?}")]);
    }
}

//! Words that are planted where content comes in, and looked for where none may be.

use std::path::Path;

use crate::support::database::{Sql, TestDatabase};

/// Which of the words are in these bytes, as they are or as the text that SQLite
/// and JSON make of them.
pub fn found_in<'a>(bytes: &[u8], words: &[&'a str]) -> Vec<&'a str> {
    let holds = |word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    words.iter().copied().filter(|word| holds(word)).collect()
}

/// Insists that none of the words is in a text that operators read.
pub fn assert_silent(of: &str, text: &str, words: &[&str]) {
    assert_eq!(found_in(text.as_bytes(), words), Vec::<&str>::new(), "in {of}");
}

/// Words in a database: in the files of one, or in all rows of the other.
pub fn found_in_database<'a>(database: &TestDatabase, words: &[&'a str]) -> Vec<&'a str> {
    match database.location.file() {
        Some(file) => found_in_files(file, words),
        None => found_in(&all_rows(database.sql()), words),
    }
}

fn all_rows(sql: Sql<'_>) -> Vec<u8> {
    // Bytes are shown as the letters that they are.
    let as_letters = "SET bytea_output = 'escape'";
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    let tables: Vec<String> = sql.rows(tables, [], |row| row.get(0)).unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    sql.with(|connection| {
        connection.execute(as_letters, []).unwrap();
        let all = tables.iter().map(|table| {
            let rows = format!("SELECT coalesce(string_agg(CAST(one AS text), ' '), '') FROM {table} AS one");
            connection.query_row(&rows, [], |row| row.get::<_, String>(0)).unwrap()
        });
        all.collect::<String>().into_bytes()
    })
}

/// Words in a database: its file and the side files that lie beside it.
pub fn found_in_files<'a>(database: &Path, words: &[&'a str]) -> Vec<&'a str> {
    let mut bytes = Vec::new();
    for end in ["", "-wal", "-shm", "-journal"] {
        let name = format!("{}{end}", database.display());
        bytes.extend(std::fs::read(name).unwrap_or_default());
    }
    assert!(bytes.len() > 4096, "there is a database at {}", database.display());
    found_in(&bytes, words)
}

#[test]
fn a_planted_word_is_found_wherever_it_leaks() {
    let words = ["canary-one", "canary-two"];
    for leak in ["canary-one", "x canary-one y", "{\"a\":\"canary-one\"}", "canary-canary-one"] {
        assert_eq!(found_in(leak.as_bytes(), &words), ["canary-one"], "{leak}");
        assert!(std::panic::catch_unwind(|| assert_silent("a test", leak, &words)).is_err());
    }
    assert_eq!(found_in(b"canary-on e", &words), Vec::<&str>::new());
    assert_silent("nothing", "", &words);
}

#[test]
fn a_planted_word_is_found_in_a_database_and_in_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)").unwrap();
    sql.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES ('canary-log')").unwrap();
    assert!(found_in(&std::fs::read(&path).unwrap(), &["canary-log"]).is_empty(), "it is not in the file yet");
    assert_eq!(found_in_files(&path, &["canary-log"]), ["canary-log"]);
    sql.execute_batch(
        "PRAGMA secure_delete = OFF; PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM t; PRAGMA wal_checkpoint(TRUNCATE)",
    )
    .unwrap();
    assert_eq!(found_in_files(&path, &["canary-log"]), ["canary-log"], "deleting alone leaves the bytes");
}

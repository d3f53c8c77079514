//! The statements that fill a database with history. The text is the same for
//! every kind of database but for what [`Dialect`] holds.

/// What a kind of database has words of its own for.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The numbers from `{from} + 1` to `{to}`, as a table `n` with a column `i`.
    numbers: &'static str,
    /// Around a text that is to be bytes.
    bytes: [&'static str; 2],
    /// 32 bytes.
    hash: &'static str,
    /// What makes the next row get a number that is free.
    after: &'static str,
}

/// SQLite.
pub const SQLITE: Dialect = Dialect {
    numbers: "WITH RECURSIVE n (i) AS (SELECT {from} + 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to})",
    bytes: ["CAST(", " AS BLOB)"],
    hash: "randomblob(32)",
    after: "",
};

/// PostgreSQL.
pub const POSTGRES: Dialect = Dialect {
    numbers: "WITH n (i) AS (SELECT generate_series(CAST({from} AS BIGINT) + 1, {to}))",
    bytes: ["convert_to(", ", 'UTF8')"],
    hash: "sha256(convert_to(CAST(i AS TEXT), 'UTF8'))",
    after: "SELECT setval(pg_get_serial_sequence('deliveries', 'seq'), (SELECT max(seq) FROM deliveries));
SELECT setval(pg_get_serial_sequence('jobs', 'id'), (SELECT max(id) FROM jobs));
SELECT setval(pg_get_serial_sequence('submissions', 'seq'), (SELECT max(seq) FROM submissions));
SELECT setval(pg_get_serial_sequence('results', 'seq'), (SELECT max(seq) FROM results));
SELECT setval(pg_get_serial_sequence('effects', 'id'), (SELECT max(id) FROM effects));
SELECT setval(pg_get_serial_sequence('messages', 'id'), (SELECT max(id) FROM messages));",
};

/// A history of `total` deliveries that ends now.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// How many deliveries; a multiple of 1,000.
    pub total: i64,
    /// How many of them are so new that people still have to do with them.
    pub fresh: i64,
    /// When the last one came, in ms.
    pub now_ms: i64,
}

/// Between two deliveries, in ms: ten million of them in 600 days.
const EVERY_MS: i64 = 5_184;

/// Content that is younger is still there, in ms: a little less than is kept by default.
const KEPT_MS: i64 = 29 * 86_400_000;

const FILL: &str = include_str!("fill.sql");
const CLOSE: &str = include_str!("close.sql");

impl History {
    /// What fills in the deliveries after the first `from`, up to `to`.
    pub fn part(&self, dialect: &Dialect, from: i64, to: i64) -> Vec<String> {
        self.statements(FILL, dialect, from, to)
    }

    /// What comes at the end.
    pub fn close(&self, dialect: &Dialect) -> Vec<String> {
        self.statements(&format!("{CLOSE}\n{}", dialect.after), dialect, 0, 100)
    }

    /// So many tickets that nothing was done about yet, after those of the history.
    pub fn more_tickets(&self, dialect: &Dialect, tickets: i64) -> Vec<String> {
        const TICKETS: &str = "INSERT INTO tickets (id, seq, subject, status, queue, created_at, updated_at)
{numbers} SELECT 'T-' || ({total} / 10 + 1 + i), {total} / 10 + 1 + i, 'A parcel', 'open', 'support', {now}, {now} FROM n;
INSERT INTO messages (ticket_id, author, visibility, body, created_at)
{numbers} SELECT 'T-' || ({total} / 10 + 1 + i), 'customer', 'public', 'Where is my order?', {now} FROM n;";
        self.statements(TICKETS, dialect, 0, tickets)
    }

    /// How many tickets its deliveries are about.
    pub fn tickets(&self) -> i64 {
        self.total / 10 + 1
    }

    fn statements(&self, text: &str, dialect: &Dialect, from: i64, to: i64) -> Vec<String> {
        let tag = |i: &str| format!("(100000000000 + {i}) || '_' || ({i} * 2654435761 % 4294967296)");
        let kept = (KEPT_MS / EVERY_MS).min(self.total);
        let words = [
            ("{numbers}", dialect.numbers.to_owned()),
            ("{hundred}", dialect.numbers.to_owned()),
            ("{bytes}", dialect.bytes[0].to_owned()),
            ("{as_bytes}", dialect.bytes[1].to_owned()),
            ("{hash}", dialect.hash.to_owned()),
            ("{tag_before}", tag("(i - 1)")),
            ("{tag}", tag("i")),
            ("{time}", "({now} - ({total} - i) * {every})".to_owned()),
            ("{is_old}", "(i <= {total} - {kept})".to_owned()),
            ("{is_new}", "(i > {total} - {fresh})".to_owned()),
            ("{from}", from.to_string()),
            ("{to}", to.to_string()),
            ("{total}", self.total.to_string()),
            ("{fresh}", self.fresh.to_string()),
            ("{kept}", kept.to_string()),
            ("{every}", EVERY_MS.to_string()),
            ("{now}", self.now_ms.to_string()),
        ];
        let said = |line: &&str| !line.starts_with("--");
        let text: String = text.lines().filter(said).collect::<Vec<_>>().join("\n");
        let whole = words.iter().fold(text, |text, (word, is)| text.replace(word, is));
        whole
            .split(";\n")
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(|one| one.trim_end_matches(';').to_owned())
            .collect()
    }
}

/// The ids of delivery `i`, as the statements make them: its own, and its resource's.
pub fn ids(i: i64) -> (String, String) {
    let tag = format!("{}_{}", 100_000_000_000 + i, i * 2_654_435_761 % 4_294_967_296);
    (format!("wh_{tag}"), format!("resp_{tag}"))
}

//! PostgreSQL's side: one connection, its prepared statements, and its errors.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use postgres::error::{DbError, SqlState};
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, Row, Statement};

use super::super::StoreError;
use super::text::for_postgres;
use super::{Error, IDLE_TIMEOUT, LOCK_TIMEOUT, Result, STATEMENT_TIMEOUT, Subject, Value};

/// Statements kept ready on one connection. Past it all are forgotten: those
/// that are put together at run time are few, but nobody counts them.
const KEPT_READY: usize = 512;

/// Counters have so many parts.
const SHARDS: i64 = 16;

/// First keys of our advisory locks; the second says which of that kind.
const LOCK_ALL: i32 = 0x6664_0001;
const LOCK_TICKET: i32 = 0x6664_0002;
const LOCK_RESOURCE: i32 = 0x6664_0003;
const LOCK_BATCH: i32 = 0x6664_0004;
const LOCK_SIGN_IN: i32 = 0x6664_0006;
const LOCK_INTAKE: i32 = 0x6664_0005;

/// A setting of the session that only we make. A pooler that hands sessions
/// around does not carry it over.
const OURS: &str = "frontdesk.session";

/// How to connect.
#[derive(Clone)]
pub(in crate::store) struct Settings {
    /// Where, as whom, and how long to try.
    pub(in crate::store) config: Config,
    /// For TLS; none for a connection in the clear.
    pub(in crate::store) tls: Option<std::sync::Arc<rustls::ClientConfig>>,
}

/// A connection to PostgreSQL.
pub struct Postgres {
    client: RefCell<Client>,
    ready: RefCell<HashMap<String, Ready>>,
    /// A pooler stands between: each transaction may be another session's.
    is_pooled: bool,
    /// To be said in each transaction, where the session keeps nothing.
    limits: String,
    shard: i64,
    /// The server has warned of something.
    warned: Arc<AtomicBool>,
    /// A statement of this transaction was refused: it can only be undone.
    has_failed: Cell<bool>,
    /// The timeline of the database when it was looked at last; empty before.
    timeline: RefCell<String>,
}

enum Ready {
    /// Prepared in the session, for values of these types.
    Named(Vec<Type>, Statement),
    /// Its text only.
    Text(String),
}

/// Who else may write while a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Company {
    /// Nobody who takes part in this; see `docs/decisions`.
    Alone,
    /// Others who write beside others.
    Beside,
    /// Anybody: unique keys alone decide.
    Anybody,
    /// Reads one state of the database.
    Reader,
}

impl Postgres {
    /// Connects, and finds out whether a pooler stands between.
    ///
    /// # Errors
    /// When there is no answer, or not from a database that will do.
    pub(in crate::store) fn connect(settings: &Settings) -> Result<Postgres> {
        let limits = [
            format!("statement_timeout={}", STATEMENT_TIMEOUT.as_millis()),
            format!("lock_timeout={}", LOCK_TIMEOUT.as_millis()),
            format!("idle_in_transaction_session_timeout={}", IDLE_TIMEOUT.as_millis()),
            // `commit` must hear what the server warns of.
            "client_min_messages=warning".to_owned(),
        ];
        let options: String = limits.iter().map(|limit| format!("-c {limit} ")).collect();
        let warned = Arc::new(AtomicBool::new(false));
        let mut plain = settings.config.clone();
        plain.notice_callback(listen_for_warnings(&warned));
        let mut with_options = plain.clone();
        // Those of the URL too; ours go by what comes last.
        let asked = plain.get_options().unwrap_or_default().to_owned();
        with_options.options(&format!("{asked} {options}-c {OURS}=on"));
        let client = match open(&with_options, settings) {
            // What pgbouncer says to a setting that it does not know.
            Err(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) => open(&plain, settings),
            opened => opened,
        };
        let client = client.map_err(without_session)?;
        let mut connection = Postgres {
            client: RefCell::new(client),
            ready: RefCell::default(),
            is_pooled: true,
            limits: limits.map(|limit| format!("SET LOCAL {limit};")).concat(),
            shard: 0,
            warned,
            has_failed: Cell::new(false),
            timeline: RefCell::default(),
        };
        connection.look()?;
        Ok(connection)
    }

    /// What kind of session this is. Asked without a prepared statement.
    fn look(&mut self) -> Result<()> {
        let question = format!(
            "SELECT coalesce(current_setting('{OURS}', true), ''), pg_backend_pid(), current_setting('synchronous_commit')"
        );
        let row = self.client.get_mut().query_typed_one(&question, &[])?;
        self.is_pooled = row.try_get::<_, &str>(0)? != "on";
        self.shard = i64::from(row.try_get::<_, i32>(1)?) % SHARDS;
        // Whoever answers before the disk has it loses what it acknowledged.
        if row.try_get::<_, &str>(2)? == "off" {
            self.limits.push_str("SET LOCAL synchronous_commit=on;");
            if !self.is_pooled {
                self.client.get_mut().batch_execute("SET synchronous_commit=on")?;
            }
        }
        Ok(())
    }

    pub(super) fn shard(&self) -> i64 {
        self.shard
    }

    /// Whether sessions are handed around by a pooler.
    pub(in crate::store) fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    /// Whether the connection has ended.
    pub(in crate::store) fn is_closed(&self) -> bool {
        self.client.borrow().is_closed()
    }

    /// Whether the database on this timeline has been looked at.
    pub(in crate::store) fn has_seen(&self, timeline: &str) -> bool {
        *self.timeline.borrow() == timeline
    }

    /// Remembers that the database on this timeline has been looked at.
    pub(in crate::store) fn see(&self, timeline: String) {
        self.timeline.replace(timeline);
    }

    /// The client itself, for what the store's own statements do not need.
    pub(in crate::store) fn client(&self) -> std::cell::RefMut<'_, Client> {
        self.client.borrow_mut()
    }

    /// Begins a transaction, and waits for those that it may not run beside.
    pub(in crate::store) fn begin(&self, company: Company) -> Result<()> {
        let limits = if self.is_pooled { self.limits.as_str() } else { "" };
        let begin = match company {
            Company::Alone => format!("BEGIN;{limits}SELECT pg_advisory_xact_lock({LOCK_ALL}, 0)"),
            Company::Beside => format!("BEGIN;{limits}SELECT pg_advisory_xact_lock_shared({LOCK_ALL}, 0)"),
            Company::Anybody => format!("BEGIN;{limits}SELECT pg_advisory_xact_lock_shared({LOCK_INTAKE}, 0)"),
            // What is rare must not be looked for as if it were as frequent as the rest: PostgreSQL
            // plans for the values, and not once for all values. And a page walks an index and looks
            // each row's company up; a join that reads a whole table first is right for no page.
            Company::Reader => format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;{limits}SET LOCAL plan_cache_mode=force_custom_plan;
                 SET LOCAL enable_hashjoin=off;SET LOCAL enable_mergejoin=off"
            ),
        };
        self.has_failed.set(false);
        self.batch(&begin)
    }

    /// Ends the transaction. When this fails, nobody knows how it ended, but
    /// where the database says so itself.
    pub(in crate::store) fn commit(&self) -> Result<()> {
        // COMMIT would say that all is well, and undo it.
        if self.has_failed.get() {
            self.roll_back()?;
            return Err(Error::Spoiled);
        }
        self.warned.store(false, Ordering::Relaxed);
        self.batch("COMMIT")?;
        if self.warned.load(Ordering::Relaxed) { Err(Error::Unconfirmed) } else { Ok(()) }
    }

    /// Ends the transaction without a trace.
    pub(in crate::store) fn roll_back(&self) -> Result<()> {
        self.batch("ROLLBACK")
    }

    /// Keeps everybody else out until the end of the transaction, those too who
    /// take deliveries in.
    pub(in crate::store) fn lock_everybody_out(&self) -> Result<()> {
        self.batch(&format!("SELECT pg_advisory_xact_lock({LOCK_ALL}, 0), pg_advisory_xact_lock({LOCK_INTAKE}, 0)"))
    }

    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        let done = self.client.borrow_mut().batch_execute(sql);
        self.has_failed.set(self.has_failed.get() || done.is_err());
        Ok(done?)
    }

    pub(super) fn lock(&self, subject: Subject<'_>) -> Result<()> {
        let (kind, which) = match subject {
            Subject::Intake => return self.batch(&format!("SELECT pg_advisory_xact_lock({LOCK_INTAKE}, 0)")),
            Subject::Ticket(id) => (LOCK_TICKET, id),
            Subject::Resource(id) => (LOCK_RESOURCE, id),
            Subject::Batch(id) => (LOCK_BATCH, id),
            Subject::SignIn(key) => (LOCK_SIGN_IN, key),
        };
        let sql = format!("SELECT pg_advisory_xact_lock({kind}, hashtext(?1))");
        self.query(&sql, &[Value::Text(which.into())]).map(drop)
    }

    pub(super) fn time_ms(&self) -> Result<i64> {
        let rows = self.query("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)", &[])?;
        Ok(rows.first().ok_or(Error::NoRow)?.try_get(0)?)
    }

    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize> {
        let changed = self.run(
            sql,
            values,
            |client, statement, given| client.execute(statement, given),
            |client, text, given| client.execute_typed(text, given),
        )?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    pub(super) fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        self.run(
            sql,
            values,
            |client, statement, given| client.query(statement, given),
            |client, text, given| client.query_typed(text, given),
        )
    }

    fn run<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        named: impl Fn(&mut Client, &Statement, &[&(dyn ToSql + Sync)]) -> std::result::Result<T, postgres::Error>,
        unnamed: impl Fn(&mut Client, &str, &[(&(dyn ToSql + Sync), Type)]) -> std::result::Result<T, postgres::Error>,
    ) -> Result<T> {
        let done = self.try_run(sql, values, named, unnamed);
        if let Err(Error::Postgres(error)) = &done
            && error.code().is_some_and(|code| STALE.contains(&code.code()))
        {
            self.ready.borrow_mut().clear();
        }
        self.has_failed.set(self.has_failed.get() || done.is_err());
        done
    }

    fn try_run<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        named: impl Fn(&mut Client, &Statement, &[&(dyn ToSql + Sync)]) -> std::result::Result<T, postgres::Error>,
        unnamed: impl Fn(&mut Client, &str, &[(&(dyn ToSql + Sync), Type)]) -> std::result::Result<T, postgres::Error>,
    ) -> Result<T> {
        let mut ready = self.ready.borrow_mut();
        let mut client = self.client.borrow_mut();
        if !ready.get(sql).is_some_and(|ready| ready.takes(values)) {
            if ready.len() >= KEPT_READY {
                ready.clear();
            }
            let made = make_ready(&mut client, sql, values, self.is_pooled)?;
            ready.insert(sql.to_owned(), made);
        }
        match ready.get(sql) {
            Some(Ready::Named(_, statement)) => {
                let given: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
                Ok(named(&mut client, statement, &given)?)
            }
            Some(Ready::Text(text)) => {
                let given: Vec<(&(dyn ToSql + Sync), Type)> =
                    values.iter().map(|value| (value as _, value.kind())).collect();
                Ok(unnamed(&mut client, text, &given)?)
            }
            None => Err(Error::Unreadable),
        }
    }
}

impl Ready {
    fn takes(&self, values: &[Value<'_>]) -> bool {
        match self {
            Ready::Named(types, _) => {
                types.len() == values.len() && types.iter().zip(values).all(|(kind, value)| *kind == value.kind())
            }
            Ready::Text(_) => true,
        }
    }
}

fn make_ready(client: &mut Client, sql: &str, values: &[Value<'_>], is_pooled: bool) -> Result<Ready> {
    let text = for_postgres(sql);
    if is_pooled {
        return Ok(Ready::Text(text));
    }
    let types: Vec<Type> = values.iter().map(Value::kind).collect();
    let statement = client.prepare_typed(&text, &types)?;
    Ok(Ready::Named(types, statement))
}

/// A commit waits for the standby that must have it. When somebody cancels the
/// wait, the server says that all is well, and *warns* that the standby may not
/// have it: whoever acknowledged that could lose it with this server.
fn listen_for_warnings(warned: &Arc<AtomicBool>) -> impl Fn(DbError) + Send + Sync + use<> {
    let warned = Arc::clone(warned);
    move |notice| {
        // In every language, and of whichever version: 01… is the class of warnings.
        if notice.code().code().starts_with("01") || notice.code() == &SqlState::ADMIN_SHUTDOWN {
            warned.store(true, Ordering::Relaxed);
        }
        tracing::debug!(code = notice.code().code(), "PostgreSQL warns");
    }
}

fn open(config: &Config, settings: &Settings) -> std::result::Result<Client, postgres::Error> {
    match &settings.tls {
        None => config.connect(postgres::NoTls),
        Some(tls) => config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls.as_ref().clone())),
    }
}

impl Value<'_> {
    fn kind(&self) -> Type {
        match self {
            Value::Null(kind) => kind.clone(),
            Value::Int(_) => Type::INT8,
            Value::Real(_) => Type::FLOAT8,
            Value::Text(_) => Type::TEXT,
            Value::Blob(_) => Type::BYTEA,
            Value::Texts(_) => Type::TEXT_ARRAY,
            Value::Ints(_) => Type::INT8_ARRAY,
            Value::Blobs(_) => Type::BYTEA_ARRAY,
        }
    }
}

/// PostgreSQL has no text with a zero in it. Where one comes from outside, in an
/// id or a reply, the character for what cannot be shown takes its place; bodies
/// are kept as bytes, as they came.
pub(in crate::store) fn without_zeros(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null(_) => Ok(IsNull::Yes),
            Value::Int(number) => number.to_sql(kind, out),
            Value::Real(number) => number.to_sql(kind, out),
            Value::Text(text) => without_zeros(text).to_sql(kind, out),
            Value::Blob(bytes) => bytes.to_sql(kind, out),
            Value::Texts(texts) => {
                texts.iter().map(|text| text.map(without_zeros)).collect::<Vec<_>>().to_sql(kind, out)
            }
            Value::Ints(numbers) => numbers.to_sql(kind, out),
            Value::Blobs(many) => many.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// serialization_failure, deadlock_detected.
const LOST: [&str; 2] = ["40001", "40P01"];

/// feature_not_supported, which is what a prepared statement says whose table has
/// got another column since, and invalid_sql_statement_name, of one that is gone.
/// It stays so on that connection until the statement is prepared anew.
const STALE: [&str; 2] = ["0A000", "26000"];

/// Whether the transaction lost against others, or against a migration, and can
/// be run again as it is.
pub(in crate::store) fn is_to_be_repeated(error: &StoreError) -> bool {
    matches!(error, StoreError::Postgres { code, .. } if LOST.contains(&code.as_str()) || STALE.contains(&code.as_str()))
}

/// As long as nothing was asked no value can be in the text, and it says most.
fn without_session(error: postgres::Error) -> Error {
    if error.as_db_error().is_some() {
        return error.into();
    }
    let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    Error::NoSession(format!("{error}{why}"))
}

/// An error without a value in it.
pub(in crate::store) fn told(error: &postgres::Error) -> StoreError {
    if let Some(refused) = error.as_db_error() {
        return StoreError::Postgres { code: refused.code().code().to_owned(), text: without_values(refused) };
    }
    let why = error.source().map_or_else(|| "the connection was lost".to_owned(), ToString::to_string);
    if error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()) {
        return StoreError::Unreachable(why);
    }
    StoreError::Postgres { code: String::new(), text: "a statement could not be run or read".to_owned() }
}

/// PostgreSQL's messages of bad values quote them; its details quote rows.
fn without_values(refused: &DbError) -> String {
    let class = refused.code().code().get(..2).unwrap_or_default();
    match (class, refused.constraint()) {
        ("22", _) => "a value was refused".to_owned(),
        ("23", Some(constraint)) => format!("refused by {constraint}"),
        _ => refused.message().to_owned(),
    }
}

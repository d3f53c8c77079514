//! Where the database is, as `DATABASE_URL` says it.

use std::fmt;
use std::path::PathBuf;

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server; see [`PostgresUrl`].
    Postgres(PostgresUrl),
}

/// A URL as libpq reads it. It may hold a password: it is never shown whole.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

/// Why a URL names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoDatabase(&'static str);

impl Location {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is neither `sqlite://PATH` nor `postgres://…`.
    pub fn parse(url: &str) -> Result<Location, NoDatabase> {
        if let Some(path) = url.strip_prefix("sqlite://").filter(|path| !path.is_empty()) {
            return Ok(Location::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Location::Postgres(PostgresUrl(url.to_owned())));
        }
        Err(NoDatabase("must be sqlite://PATH, as sqlite://frontdesk.db, or postgres://USER:PASSWORD@HOST/DATABASE"))
    }

    /// The file, when it is one.
    #[must_use]
    pub fn file(&self) -> Option<&std::path::Path> {
        match self {
            Location::Sqlite(path) => Some(path),
            Location::Postgres(_) => None,
        }
    }
}

impl PostgresUrl {
    /// The whole of it, with its password.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Without user, password and settings.
    fn place(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", ""));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        format!("{scheme}://{place}")
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.place())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => write!(out, "{}", path.display()),
            Location::Postgres(url) => out.write_str(&url.place()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Location;

    #[test]
    fn a_password_is_never_shown() {
        let url = "postgres://desk:s3cr@t/x@db.example.com:5433/frontdesk?sslmode=disable&password=s3cr";
        let location = Location::parse(url).expect("a place");
        assert_eq!(location.to_string(), "postgres://db.example.com:5433/frontdesk");
        assert!(!format!("{location:?}").contains("s3cr"));
    }

    #[test]
    fn what_names_no_database_is_refused() {
        for url in ["", "sqlite://", "mysql://localhost/x", "frontdesk.db"] {
            assert!(Location::parse(url).is_err(), "{url}");
        }
    }
}

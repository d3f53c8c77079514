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

    /// Without user, password and other settings, but with the hosts among these.
    fn place(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", ""));
        let (before, settings) = rest.split_once('?').unwrap_or((rest, ""));
        let place = match before.rsplit_once('@') {
            Some((_, place)) => place,
            // The question mark may be one of the password's.
            None if settings.contains('@') => return format!("{scheme}://…"),
            None => before,
        };
        let is_place = |setting: &&str| ["host=", "hostaddr=", "port="].iter().any(|name| setting.starts_with(name));
        let hosts: Vec<&str> = settings.split('&').filter(is_place).collect();
        let hosts = if hosts.is_empty() { String::new() } else { format!("?{}", hosts.join("&")) };
        format!("{scheme}://{place}{hosts}")
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
        let two = "postgres://desk@/frontdesk?host=one,two&password=s3cr&port=1,2";
        assert_eq!(Location::parse(two).expect("a place").to_string(), "postgres:///frontdesk?host=one,two&port=1,2");
        assert!(!format!("{location:?}").contains("s3cr"));
        for odd in ["postgres://desk:s3cr?et@host/db", "postgres://desk:s3cr#et@host/db?sslmode=disable"] {
            assert!(!Location::parse(odd).expect("a place").to_string().contains("s3"), "{odd}");
        }
    }

    #[test]
    fn what_names_no_database_is_refused() {
        for url in ["", "sqlite://", "mysql://localhost/x", "frontdesk.db"] {
            assert!(Location::parse(url).is_err(), "{url}");
        }
    }
}

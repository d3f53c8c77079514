//! From a URL to connections: who may see what goes over the wire.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use postgres::Config;
use postgres::config::{Host, SslMode, TargetSessionAttrs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;

use crate::store::StoreError;
use crate::store::location::PostgresUrl;
use crate::store::sql::Settings;

/// How long to try one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// After so long without a word the other side is asked whether it is there,
/// and given up soon after: a node must not wait for a machine that is gone.
const ALIVE_AFTER: Duration = Duration::from_secs(5);
const GONE_AFTER: Duration = Duration::from_secs(10);

/// Reads the URL. `sslmode` is as libpq has it, but that whoever asks for
/// encryption gets a certificate that was verified: `require`, `verify-ca` and
/// `verify-full` are the same here, and so is naming nothing, unless the server
/// is on this machine.
pub(super) fn settings(url: &PostgresUrl) -> Result<Settings, StoreError> {
    let wrong = |what: &str| StoreError::Open(format!("DATABASE_URL: {what}"));
    let (plain, mode, root) = take_ssl(url.reveal());
    let plain = one_host_each(&plain);
    let mut config = Config::from_str(&plain).map_err(|_| {
        wrong("it cannot be read; it has the form postgres://USER:PASSWORD@HOST:PORT/DATABASE, with % codes for signs that have a meaning in it")
    })?;
    if config.get_hosts().is_empty() {
        return Err(wrong("it names no host"));
    }
    if config.get_application_name().is_none() {
        config.application_name("frontdesk");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    config.keepalives_idle(ALIVE_AFTER).keepalives_interval(Duration::from_secs(2)).keepalives_retries(3);
    config.tcp_user_timeout(GONE_AFTER);
    // Of several hosts the one that takes writes: after a failover another one.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    let encrypted = match mode.as_deref() {
        Some("disable") => false,
        None | Some("prefer" | "allow") => !is_here(&config),
        Some("require" | "verify-ca" | "verify-full") => true,
        Some(_) => return Err(wrong("sslmode is one of disable, prefer, require, verify-ca, verify-full")),
    };
    config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
    let tls = if encrypted { Some(Arc::new(tls(root.as_deref())?)) } else { None };
    Ok(Settings { config, tls })
}

/// Takes `sslmode` and `sslrootcert` out of a URL: they are read here.
fn take_ssl(url: &str) -> (String, Option<String>, Option<String>) {
    let Some((place, settings)) = url.split_once('?') else { return (url.to_owned(), None, None) };
    let (mut mode, mut root, mut others) = (None, None, Vec::new());
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        match setting.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => root = Some(value.replace("%2F", "/").replace("%2f", "/")),
            _ => others.push(setting),
        }
    }
    let rest = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
    (format!("{place}{rest}"), mode, root)
}

/// `host=a,b` as libpq reads it: several hosts. The driver reads one of that name.
fn one_host_each(url: &str) -> String {
    let Some((place, settings)) = url.split_once('?') else { return url.to_owned() };
    let settings: Vec<String> = settings
        .split('&')
        .map(|setting| match setting.strip_prefix("host=") {
            Some(hosts) => {
                hosts.replace("%2C", ",").split(',').map(|host| format!("host={host}")).collect::<Vec<_>>().join("&")
            }
            None => setting.to_owned(),
        })
        .collect();
    format!("{place}?{}", settings.join("&"))
}

/// Whether all hosts are this machine.
fn is_here(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    })
}

fn tls(root: Option<&str>) -> Result<ClientConfig, StoreError> {
    let wrong = |what: String| StoreError::Open(format!("DATABASE_URL: {what}"));
    crate::tls::install_provider();
    let Some(file) = root.filter(|file| *file != "system") else {
        return ClientConfig::with_platform_verifier()
            .map_err(|error| wrong(format!("no trusted certificates: {error}")));
    };
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| wrong(format!("sslrootcert {file}: {error}")))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(format!("sslrootcert {file}: {error}")))?;
        roots.add(certificate).map_err(|error| wrong(format!("sslrootcert {file}: {error}")))?;
    }
    if roots.is_empty() {
        return Err(wrong(format!("sslrootcert {file}: there is no certificate in it")));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Location;

    fn read(url: &str) -> Settings {
        let Ok(Location::Postgres(url)) = Location::parse(url) else { panic!("{url}") };
        settings(&url).expect("settings")
    }

    #[test]
    fn several_hosts_are_read_in_either_form() {
        let two = [
            "postgres://desk@/db?host=127.0.0.1,127.0.0.2&port=15432,15433",
            "postgres://desk@127.0.0.1:15432,127.0.0.2:15433/db",
        ];
        for url in two {
            let config = read(url).config;
            let hosts = ["127.0.0.1", "127.0.0.2"].map(|host| Host::Tcp(host.to_owned()));
            assert_eq!((config.get_hosts(), config.get_ports()), (&hosts[..], &[15432, 15433][..]), "{url}");
            assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
    }
}

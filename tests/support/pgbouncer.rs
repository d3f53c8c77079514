//! PgBouncer in front of a database, as people run it: each transaction gets
//! whichever connection is free.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postgres::Config;
use postgres::config::Host;
use tempfile::TempDir;

use super::owner;

/// How many connections the pool has at most. Small, so that they are shared.
const POOL: usize = 2;
const PATIENCE: Duration = Duration::from_secs(20);

/// A running PgBouncer; killed when dropped.
pub struct PgBouncer {
    child: Child,
    port: u16,
    server: Config,
    _dir: TempDir,
}

impl PgBouncer {
    /// In front of the database that `url` names.
    pub fn start(url: &str) -> PgBouncer {
        let server: Config = url.parse().expect("a URL of PostgreSQL");
        let dir = tempfile::Builder::new().prefix("frontdesk-pgbouncer-").tempdir().unwrap();
        owner::give(dir.path());
        let port = free_port();
        let settings = write_settings(dir.path(), &server, port);
        let child = command(&settings).spawn().expect("pgbouncer starts");
        let mut bouncer = PgBouncer { child, port, server, _dir: dir };
        bouncer.wait_until_it_listens();
        bouncer
    }

    /// How Frontdesk reaches the database through the pool.
    pub fn url(&self) -> String {
        let user = self.server.get_user().unwrap();
        format!("postgres://{user}:{}@127.0.0.1:{}/{}", password(&self.server), self.port, database(&self.server))
    }

    fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "pgbouncer does not listen: {ended:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn password(server: &Config) -> &str {
    std::str::from_utf8(server.get_password().unwrap_or_default()).unwrap()
}

fn database(server: &Config) -> &str {
    server.get_dbname().expect("a URL with the name of a database")
}

fn host(server: &Config) -> String {
    match server.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(folder)) => folder.display().to_string(),
        None => "127.0.0.1".to_owned(),
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Writes the settings and the list of users, and gives the path of the first.
fn write_settings(dir: &Path, server: &Config, port: u16) -> PathBuf {
    let (users, settings) = (dir.join("users.txt"), dir.join("pgbouncer.ini"));
    let user = server.get_user().expect("a URL with a user");
    write(&users, &format!("\"{user}\" \"{}\"\n", password(server)));
    let (host, database) = (host(server), database(server));
    let server_port = server.get_ports().first().copied().unwrap_or(5432);
    write(
        &settings,
        &format!(
            "[databases]\n{database} = host={host} port={server_port} dbname={database}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = plain\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {POOL}\nmax_client_conn = 200\nignore_startup_parameters = extra_float_digits\n",
            users.display()
        ),
    );
    settings
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    owner::give(path);
}

fn command(settings: &Path) -> Command {
    let mut command = owner::command(&program());
    command.arg("-q").arg(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Debian has it in a folder that is not everybody's PATH.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.find_map(|folder| Some(folder.join("pgbouncer")).filter(|path| path.is_file()));
    found.expect("pgbouncer is not installed: scripts/postgres install")
}

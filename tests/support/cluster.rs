//! A whole PostgreSQL that one test owns, to do bad things to: stop it, kill it,
//! let a replica take over, fill its disk. It writes as durably as a real one.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::owner;
use super::pgbouncer::free_port;
use super::postgres::{apart, ask};
use super::tls::Identity;

/// Set by `scripts/postgres`.
const PROGRAMS: &str = "FRONTDESK_TEST_POSTGRES_PROGRAMS";
const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "of-the-tests";
/// What the replica calls itself to its primary.
const REPLICA: &str = "replica";

/// How a cluster is told to stop.
#[derive(Clone, Copy)]
pub enum Stop {
    /// Ends all connections, writes everything, ends.
    Fast,
    /// Ends at once; the next start recovers from the log.
    Immediate,
}

impl Stop {
    fn signal(self) -> Signal {
        match self {
            Stop::Fast => Signal::INT,
            Stop::Immediate => Signal::QUIT,
        }
    }
}

/// A PostgreSQL of one's own; stopped and removed when dropped.
pub struct Cluster {
    port: u16,
    /// The first of its processes, while it runs.
    running: Mutex<Option<Child>>,
    // Last, in this order: first the disk goes, then the folder it lies in.
    _disk: Option<SmallDisk>,
    dir: TempDir,
}

impl Cluster {
    /// An empty one, which answers.
    pub fn start() -> Cluster {
        Cluster::initialised(folder(), None)
    }

    /// The same on a disk of its own of this size. It needs the rights of root.
    /// About 60 MB are used from the beginning.
    pub fn on_small_disk(megabytes: u32) -> Cluster {
        let dir = folder();
        let disk = SmallDisk::mount(&dir.path().join("disk"), megabytes);
        Cluster::initialised(dir, Some(disk))
    }

    fn initialised(dir: TempDir, disk: Option<SmallDisk>) -> Cluster {
        let password = dir.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        owner::give(&password);
        let cluster = Cluster::in_folder(dir, disk);
        let mut initdb = owner::command(&program("initdb"));
        initdb.args(["--username", "postgres", "--auth", "md5", "--encoding", "UTF8", "--locale", "C", "--no-sync"]);
        done(initdb.arg("--pwfile").arg(password).arg("--pgdata").arg(cluster.data()));
        cluster.launch();
        cluster
    }

    fn in_folder(dir: TempDir, disk: Option<SmallDisk>) -> Cluster {
        Cluster { port: free_port(), running: Mutex::new(None), _disk: disk, dir }
    }

    /// Of its database `postgres`, which a test may have for itself.
    pub fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Asks it something.
    pub fn ask<T: Send>(&self, question: impl FnOnce(&mut Client) -> T + Send) -> T {
        ask(&self.url(), question)
    }

    /// Stops it; everybody's connection ends.
    pub fn stop(&self, how: Stop) {
        let Some(mut first) = self.running.lock().unwrap().take() else { return };
        send(how.signal(), first.id());
        until("PostgreSQL does not stop", || first.try_wait().unwrap().is_some());
    }

    /// Starts it after `stop` or `kill9`.
    pub fn restart(&self) {
        self.stop(Stop::Fast);
        self.launch();
    }

    /// Kills all its processes, as when the machine dies. What it told the system to write is written.
    pub fn kill9(&self) {
        let Some(mut first) = self.running.lock().unwrap().take() else { return };
        let children = children(first.id());
        send(Signal::KILL, first.id());
        children.into_iter().for_each(|child| send(Signal::KILL, child));
        first.wait().unwrap();
    }

    /// A second one that follows this one. From now on a commit here waits until it is
    /// there and can be read there.
    pub fn replica(&self) -> Cluster {
        let replica = Cluster::in_folder(folder(), None);
        let primary = format!("{}?application_name={REPLICA}", self.url());
        let mut copy = owner::command(&program("pg_basebackup"));
        done(
            copy.args(["--checkpoint", "fast", "--no-sync", "-R", "--dbname", &primary, "--pgdata"])
                .arg(replica.data()),
        );
        replica.launch();
        self.set("synchronous_standby_names", REPLICA);
        self.set("synchronous_commit", "remote_apply");
        until("the replica does not follow", || self.is_followed());
        replica
    }

    /// Makes a replica one that is written to.
    pub fn promote(&self) {
        let promoted: bool = self.ask(|client| client.query_one("SELECT pg_promote()", &[]).unwrap().get(0));
        assert!(promoted, "{}", self.log());
    }

    /// Changes a setting that needs no restart.
    pub fn set(&self, name: &str, value: &str) {
        self.ask(|client| {
            client.batch_execute(&format!("ALTER SYSTEM SET {name} = '{value}'")).unwrap();
            client.batch_execute("SELECT pg_reload_conf()").unwrap();
        });
    }

    /// From now on whoever wants to talks to it over TLS.
    pub fn encrypts(&self, identity: &Identity) {
        for (name, text) in [("server.crt", &identity.certificate), ("server.key", &identity.key)] {
            let file = self.data().join(name);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            owner::give(&file);
        }
        self.set("ssl", "on");
        let is_on = || self.ask(|client| client.query_one("SHOW ssl", &[]).unwrap().get::<_, String>(0)) == "on";
        until("PostgreSQL does not encrypt", is_on);
    }

    /// Leaves no room on the small disk.
    pub fn fill_disk(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        let block = [0; 1 << 16];
        while file.write_all(&block).is_ok() {}
    }

    /// Takes back what `fill_disk` did.
    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    /// What PostgreSQL itself says.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn is_followed(&self) -> bool {
        let statement = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
        self.ask(|client| client.query_opt(statement, &[]).unwrap().is_some())
    }

    fn ballast(&self) -> PathBuf {
        self.dir.path().join("disk/ballast")
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("disk/data")
    }

    /// Starts it and waits until it answers.
    fn launch(&self) {
        // What died a moment ago may still hold on to its memory.
        until("PostgreSQL does not start", || {
            *self.running.lock().unwrap() = Some(self.spawn());
            self.answers()
        });
    }

    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let port = self.port.to_string();
        let mut postgres = owner::command(&program("postgres"));
        postgres.arg("-D").arg(self.data()).args(["-p", &port, "-c", "listen_addresses=127.0.0.1"]);
        // Memory in files of its own folder goes when that goes, however it died.
        postgres.args(["-c", "unix_socket_directories=", "-c", "dynamic_shared_memory_type=mmap"]);
        postgres.args(["-c", "max_connections=100", "-c", "password_encryption=md5"]);
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Waits until it lets somebody in; false when it ended instead.
    fn answers(&self) -> bool {
        let ended = || self.running.lock().unwrap().as_mut().is_none_or(|first| first.try_wait().unwrap().is_some());
        let mut up = false;
        until("PostgreSQL does not answer", || {
            up = apart(|| Client::connect(&self.url(), NoTls).is_ok());
            up || ended()
        });
        up
    }
}

/// The URL of two servers, of which one takes writes, in libpq's form.
pub fn url_of_both(primary: &str, standby: &Cluster) -> String {
    let (user, place) = primary.split_once('@').unwrap();
    let (first, database) = place.split_once('/').unwrap();
    let port = |place: &str| place.rsplit_once(':').unwrap().1.to_owned();
    format!("{user}@/{database}?host=127.0.0.1,127.0.0.1&port={},{}", port(first), standby.port)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A primary whose replica has gone would wait for it.
        self.kill9();
    }
}

/// A file system in memory, of a fixed size.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(on: &Path, megabytes: u32) -> SmallDisk {
        assert!(rustix::process::geteuid().is_root(), "a small disk needs the rights of root");
        let options = format!("size={megabytes}m,mode=0755");
        done(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "frontdesk-tests"]).arg(on));
        owner::give(on);
        SmallDisk(on.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What was killed may not have let go of its files yet.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A folder with a place for the data.
fn folder() -> TempDir {
    let dir = tempfile::Builder::new().prefix("frontdesk-cluster-").tempdir().unwrap();
    let disk = dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    owner::give(dir.path());
    owner::give(&disk);
    dir
}

fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os(PROGRAMS).unwrap_or_else(|| {
        panic!("this test needs PostgreSQL: run it with `scripts/postgres run`, which sets {PROGRAMS}")
    });
    Path::new(&folder).join(name)
}

fn done(command: &mut Command) {
    let said = command.output().unwrap();
    assert!(said.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said.stderr));
}

fn send(signal: Signal, process: u32) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).unwrap();
    // It may have ended by itself.
    let _ = kill_process(process, signal);
}

fn children(of: u32) -> Vec<u32> {
    let said = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let numbers = |line: &str| -> Vec<u32> { line.split_whitespace().map(|word| word.parse().unwrap()).collect() };
    text.lines().map(numbers).filter(|line| line[1] == of).map(|line| line[0]).collect()
}

/// Waits for something, not for ever.
fn until(or_else: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{or_else}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

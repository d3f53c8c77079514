//! The real binary in processes of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use frontdesk::store::Location;
use frontdesk_simulator::DEMO_SECRET;
use serde_json::Value;
use tempfile::TempDir;

use crate::desk::API_KEY;
use crate::support::database::{Sql, TestDatabase};
use crate::wire::PATIENCE;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Insists on this exit status; an error is one or two lines that hold all of `said`.
    pub fn fails(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        for word in said {
            assert!(self.err.contains(word), "{word}: {self:?}");
        }
        if code == 1 {
            assert!((1..=2).contains(&self.err.trim_end().lines().count()), "{self:?}");
        }
    }

    pub fn succeeds(self) -> Ran {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// A folder with settings, a database, and an environment of nothing but what is set here.
pub struct Place {
    pub dir: TempDir,
    env: Vec<(String, String)>,
    database: TestDatabase,
}

impl Place {
    /// With a database of the kind that this run is for: a migrated one on a server, or
    /// a file in the folder that is made when it is first needed.
    pub fn new() -> Place {
        let place = Place::in_a_file();
        if TestDatabase::is_on_a_server() { place.on(TestDatabase::fresh()) } else { place }
    }

    /// As [`Place::new`], with a database that was not migrated.
    pub fn unmigrated() -> Place {
        let place = Place::new();
        if TestDatabase::is_on_a_server() {
            let empty = place.database.empty_one();
            return place.on(empty);
        }
        place
    }

    /// For tests about the file, and for those that need no database: there is none yet.
    pub fn in_a_file() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let database = TestDatabase::at(Location::Sqlite(dir.path().join("frontdesk.db")));
        Place { dir, env: Vec::new(), database }
            .with("OPENAI_WEBHOOK_SECRET", DEMO_SECRET)
            .with("OPENAI_API_KEY", API_KEY)
            .with("FRONTDESK_LISTEN", "127.0.0.1:0")
    }

    fn on(self, database: TestDatabase) -> Place {
        let url = database.url();
        Place { database, ..self }.with("DATABASE_URL", &url)
    }

    pub fn with(mut self, name: &str, value: &str) -> Place {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Place {
        self.env.retain(|(known, _)| known != name);
        self
    }

    pub fn location(&self) -> &Location {
        &self.database.location
    }

    /// The database, past the commands.
    pub fn sql(&self) -> Sql<'_> {
        self.database.sql()
    }

    /// The database's file, whether it is there or not.
    pub fn file(&self) -> &Path {
        self.location().file().expect("Place::in_a_file")
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_frontdesk"));
        command.args(args).env_clear().envs(self.env.iter().cloned()).current_dir(self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        let done = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: done.status.code().unwrap_or(-1), out: text(&done.stdout), err: text(&done.stderr) }
    }

    /// Runs a command with `--json`, and reads what it printed.
    pub fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).succeeds().json()
    }

    /// Starts `serve` and waits until it is ready.
    pub fn serve(&self, args: &[&str]) -> Server {
        let mut server = self.launch(args);
        server.wait_until_ready();
        server
    }

    /// Starts `serve` and waits for nothing.
    pub fn launch(&self, args: &[&str]) -> Server {
        let mut child =
            self.command(&[&["serve"], args].concat()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stderr.take().unwrap());
        Server { child, lines, addr: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }
}

/// The lines of a pipe as they come.
pub fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody may be listening any more; the pipe must be emptied all the same.
            let _ = send.send(line);
        }
    });
    lines
}

/// A running `serve`; killed when dropped.
pub struct Server {
    pub child: Child,
    pub addr: SocketAddr,
    lines: Receiver<String>,
}

impl Server {
    pub fn wait_until_ready(&mut self) {
        self.lines_until_ready();
    }

    /// The same; what it has logged until then.
    pub fn lines_until_ready(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains("frontdesk is ready") {
                let address = line.split("address=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
                self.addr = address.parse().unwrap();
                return seen;
            }
            seen.push(line);
        }
        panic!("serve is not ready: {seen:#?}");
    }

    /// The same, but false when it ends instead.
    pub fn becomes_ready(&mut self) -> bool {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if let Some(rest) = line.split("frontdesk is ready").nth(1) {
                let address = rest.split("address=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
                self.addr = address.parse().unwrap();
                return true;
            }
        }
        false
    }

    /// What it has logged since it was last asked.
    pub fn lines(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    pub fn url(&self) -> String {
        format!("http://{}/webhooks/openai", self.addr)
    }

    /// Asks it to stop and gives its exit status.
    pub fn stop(mut self) -> i32 {
        terminate(&self.child);
        wait(&mut self.child)
    }

    /// Stops it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SIGTERM.
pub fn terminate(child: &Child) {
    signal(child, "TERM");
}

/// Any signal, by its name.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

/// Waits for an end, not for ever.
pub fn wait(child: &mut Child) -> i32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        assert!(Instant::now() < deadline, "the process does not end");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// A port that was free a moment ago.
pub fn free_addr() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

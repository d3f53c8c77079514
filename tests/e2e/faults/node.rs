//! One process of several.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::load::Load;
use crate::process::{Place, Server, signal};

const SETTINGS: &str = "[worker]\nlease = \"2s\"\nheartbeat = \"500ms\"\npoll = \"100ms\"\n\
                        [retry]\nfirst = \"100ms\"\nmax = \"1s\"\nattempts = 1000\n";
const PATIENCE: Duration = Duration::from_secs(120);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Takes deliveries in, at this place of the list.
    Intake(usize),
    /// Works jobs.
    Worker,
}

/// A process with its settings, whether it runs or not.
pub(super) struct Node {
    pub(super) role: Role,
    place: Place,
    server: Mutex<Option<Server>>,
    errors: Mutex<Vec<String>>,
}

impl Node {
    pub(super) fn new(role: Role, database: &str, openai: &str, more: impl FnOnce(Place) -> Place) -> Node {
        let place = Place::new()
            .with("OPENAI_BASE_URL", openai)
            .with("DATABASE_URL", database)
            .with("FRONTDESK_LOG", "warn,frontdesk::cli=info");
        place.write("frontdesk.toml", SETTINGS);
        Node { role, place: more(place), server: Mutex::new(None), errors: Mutex::default() }
    }

    /// Starts it, again and again until it stays, as a supervisor does.
    pub(super) fn start(&self, load: &Load) {
        let deadline = Instant::now() + PATIENCE;
        let roles = if self.role == Role::Worker { "worker" } else { "intake" };
        let server = loop {
            let mut server = self.place.launch(&["--roles", roles]);
            if server.becomes_ready() {
                break server;
            }
            assert!(Instant::now() < deadline, "{roles} does not start: {:?}", server.lines());
        };
        if let Role::Intake(desk) = self.role {
            load.desks.lock().unwrap()[desk] = Some(server.addr);
        }
        *self.server.lock().unwrap() = Some(server);
    }

    /// Stops it as a power cut would; its process id.
    pub(super) fn kill(&self, load: &Load) -> u32 {
        self.keep_errors();
        let mut server = self.server.lock().unwrap().take().unwrap();
        if let Role::Intake(desk) = self.role {
            load.desks.lock().unwrap()[desk] = None;
        }
        let process = server.child.id();
        server.kill();
        process
    }

    /// Sends it a signal; its process id.
    pub(super) fn signal(&self, name: &str) -> u32 {
        let server = self.server.lock().unwrap();
        let child = &server.as_ref().unwrap().child;
        signal(child, name);
        child.id()
    }

    pub(super) fn process(&self) -> u32 {
        self.server.lock().unwrap().as_ref().unwrap().child.id()
    }

    /// Asks it to stop, and gives its exit status.
    pub(super) fn stop(&self) -> i32 {
        self.server.lock().unwrap().take().unwrap().stop()
    }

    /// How many errors it has logged.
    pub(super) fn errors(&self) -> usize {
        self.keep_errors();
        self.errors.lock().unwrap().len()
    }

    /// The lines in which it logged an error.
    pub(super) fn error_lines(&self) -> Vec<String> {
        self.keep_errors();
        self.errors.lock().unwrap().clone()
    }

    fn keep_errors(&self) {
        let server = self.server.lock().unwrap();
        let lines = server.as_ref().map(Server::lines).unwrap_or_default();
        self.errors.lock().unwrap().extend(lines.into_iter().filter(|line| line.contains("ERROR")));
    }
}

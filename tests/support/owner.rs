//! PostgreSQL and PgBouncer refuse to run as root: then they run as the user `postgres`.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Who runs them; nobody else but ourselves unless we are root.
fn owner() -> Option<(u32, u32)> {
    rustix::process::geteuid().is_root().then(|| (id("-u"), id("-g")))
}

fn id(what: &str) -> u32 {
    let said = Command::new("id").args([what, "postgres"]).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().parse().expect("there is a user postgres")
}

/// A command that will run as them.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = owner() {
        command.uid(user).gid(group);
    }
    // They may not enter the folder we are in.
    command.current_dir("/");
    command
}

/// Makes a file or folder theirs.
pub fn give(path: &Path) {
    if let Some((user, group)) = owner() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

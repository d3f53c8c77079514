//! Rules about files as such.

use crate::tree::{files, files_ending, read, root};

const LONGEST_SOURCE: usize = 500;

/// Hosts of package registries and mirrors, in pieces so that this file does
/// not name them either.
fn hosts() -> Vec<String> {
    let pieces = [
        ["crates", "io"],
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["npmjs", "org"],
        ["npmjs", "com"],
        ["yarnpkg", "com"],
        ["rubygems", "org"],
        ["static.rust-lang", "org"],
        ["proxy.golang", "org"],
        ["deb.debian", "org"],
        ["security.debian", "org"],
        ["archive.ubuntu", "com"],
        ["dl-cdn.alpinelinux", "org"],
        ["deb.nodesource", "com"],
        ["apt.postgresql", "org"],
    ];
    pieces.iter().map(|pieces| pieces.join(".")).collect()
}

/// Folders of somebody's own machine.
fn machine_paths() -> Vec<String> {
    ["work", "root", "home", "Users"].iter().map(|folder| format!("/{folder}/")).collect()
}

/// A lock file says where each package came from; nothing else may.
fn is_lock(name: &str) -> bool {
    name.ends_with(".lock") || name.ends_with("package-lock.json")
}

/// True when `text` holds `path` as the beginning of an absolute path.
fn holds_path(text: &str, path: &str) -> bool {
    let begins = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-/}~*<>".contains(c));
    text.match_indices(path).any(|(at, _)| begins(at))
}

fn found(names: &[String], holds: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let ours = names.iter().filter(|name| !is_lock(name));
    ours.filter_map(|name| Some(format!("{name}: {}", holds(&read(name))?))).collect()
}

#[test]
fn no_file_but_a_lock_file_names_a_registry() {
    let wrong = found(&files(""), |text| hosts().into_iter().find(|host| text.contains(host.as_str())));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let wrong = found(&files(""), |text| machine_paths().into_iter().find(|path| holds_path(text, path)));
    assert!(wrong.is_empty(), "{wrong:#?}");
    let planted = format!("cd /{}/main", "work");
    assert!(machine_paths().iter().any(|path| holds_path(&planted, path)), "a planted path is found");
}

#[test]
fn no_source_file_is_longer_than_a_person_reads() {
    let length = |name: &String| read(name).lines().count();
    let long: Vec<String> = files_ending("src", ".rs")
        .iter()
        .filter(|name| length(name) > LONGEST_SOURCE)
        .map(|name| format!("{name}: {} lines", length(name)))
        .collect();
    assert!(long.is_empty(), "over {LONGEST_SOURCE} lines: {long:#?}");
}

#[test]
fn what_a_repository_must_have_is_there() {
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "GLOSSARY.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(read(name).len() > 500, "{name} is there and says something");
    }
    assert!(read("LICENSE-MIT").contains("The Frontdesk authors"));
    assert!(read("CHANGELOG.md").contains("## [Unreleased]"));
}

#[cfg(unix)]
#[test]
fn scripts_can_be_run_and_stop_at_the_first_error() {
    use std::os::unix::fs::PermissionsExt as _;
    for name in ["scripts/demo", "scripts/postgres", "scripts/test", ".ci/run", "bench/run"] {
        let mode = std::fs::metadata(root().join(name)).expect(name).permissions().mode();
        assert!(mode & 0o100 != 0, "{name} cannot be run");
        assert!(read(name).contains("set -euo pipefail"), "{name} goes on after an error");
    }
}

#[test]
fn no_test_sleeps() {
    let sleeps = |name: &String| read(name).lines().any(|line| line.contains("sleep("));
    let wrong: Vec<String> =
        ["tests/it", "simulator/tests"].into_iter().flat_map(files).filter(|name| sleeps(name)).collect();
    assert!(wrong.is_empty(), "wait for the thing itself, or move a clock by hand: {wrong:#?}");
}

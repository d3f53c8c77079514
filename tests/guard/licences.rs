//! Every dependency may be used in a program under MIT or Apache-2.0.

use std::process::Command;

use serde_json::Value;

use crate::tree::root;

/// Licences that ask for no more than a notice.
const ALLOWED: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Whether a licence expression can be satisfied by the licences allowed.
fn may_be_used(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let fine = any_of(&mut words);
    fine && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>) -> bool {
    let mut fine = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        fine |= all_of(words);
    }
    fine
}

fn all_of(words: &mut Words<'_>) -> bool {
    let mut fine = one(words);
    while words.next_if_eq(&"AND").is_some() {
        fine &= one(words);
    }
    fine
}

fn one(words: &mut Words<'_>) -> bool {
    let Some(word) = words.next() else { return false };
    if word == "(" {
        let fine = any_of(words);
        return words.next() == Some(")") && fine;
    }
    // An exception only ever allows more.
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    ALLOWED.contains(&word)
}

/// This platform's name, so that only what is built here must be there.
fn host(cargo: &str) -> String {
    let said = Command::new(cargo).arg("-vV").output().expect("cargo runs").stdout;
    let said = String::from_utf8(said).expect("text");
    said.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned()
}

fn packages() -> Vec<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let said = Command::new(&cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host(&cargo)])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let metadata: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

/// What only the tests are built with, unchanged, and nobody gets from us: the
/// protocol of browsers is under MPL-2.0.
const ONLY_TESTED_WITH: [&str; 1] = ["webdriver"];

/// One of those, as long as the program itself is built without it.
fn is_only_tested_with(name: &str) -> bool {
    if !ONLY_TESTED_WITH.contains(&name) {
        return false;
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let said = Command::new(cargo)
        .args(["tree", "--workspace", "--locked", "--edges", "normal,build", "--prefix", "none"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    !String::from_utf8_lossy(&said.stdout).lines().any(|line| line.split(' ').next() == Some(name))
}

#[test]
fn every_dependency_has_a_licence_we_may_use() {
    let wrong: Vec<String> = packages()
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(may_be_used))
        .filter(|package| !package["name"].as_str().is_some_and(is_only_tested_with))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn expressions_are_read_with_their_and_or_and_brackets() {
    for fine in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "Apache-2.0 WITH LLVM-exception",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "MIT AND (GPL-2.0 OR ISC)",
    ] {
        assert!(may_be_used(fine), "{fine}");
    }
    for wrong in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND AGPL-3.0", "", "(MIT", "MIT)", "MIT ISC"] {
        assert!(!may_be_used(wrong), "{wrong}");
    }
}
